package probe

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// neverRan removes the last job of a run and tells whether it is certain that none of its
// pods' programs has begun, and none will: each was seen to go without.
func (h *home) neverRan(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	job, seen, failed := h.last()
	if job == nil {
		return refusedToMake(failed)
	}
	first := metav1.DeletePropagationForeground // it makes no more pods, and goes after them
	err := h.run.client.BatchV1().Jobs(Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{PropagationPolicy: &first})
	if err != nil && !apierrors.IsNotFound(err) {
		return false
	}
	there := map[string]bool{}
	for name, p := range seen.pods {
		if began(p) {
			return false
		}
		there[name] = true
	}
	ran := false
	none := func(store cache.Store) (bool, error) { return len(there) == 0 && len(store.ListKeys()) == 0, nil }
	_, err = watchtools.UntilWithSync(ctx, h.run.podsOf(job), &corev1.Pod{}, none, func(event watch.Event) (bool, error) {
		p, ok := event.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		ran = ran || began(p)
		if there[p.Name] = true; event.Type == watch.Deleted {
			delete(there, p.Name)
		}
		return ran || len(there) == 0, nil
	})
	return err == nil && !ran
}

// refusedToMake tells whether the API server itself said no to a job.
func refusedToMake(err error) bool {
	reason := apierrors.ReasonForError(err)
	return reason != metav1.StatusReasonUnknown && !apierrors.IsInternalError(err) && !apierrors.IsTimeout(err) &&
		!apierrors.IsServerTimeout(err) && !apierrors.IsServiceUnavailable(err)
}

// began tells whether the program of a pod has begun, or may have: a kubelet that was lost
// tells nothing. One that has been made has an ID, also after it ended.
func began(p *corev1.Pod) bool {
	lost := func(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget }
	return p.Status.Phase == corev1.PodRunning || p.Status.Phase == corev1.PodSucceeded || slices.ContainsFunc(p.Status.Conditions, lost) ||
		slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
			return c.ContainerID != "" || c.State.Running != nil || c.State.Terminated != nil && !c.State.Terminated.StartedAt.IsZero()
		})
}
