package apply

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/kubectl/pkg/polymorphichelpers"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

const pollEvery = time.Second

// Wait returns when every rollout of the plan is complete, in the sense of kubectl
// rollout status, or when the context ends.
func (a *Applier) Wait(ctx context.Context, plan fixes.Plan, progress func(string)) error {
	for _, ref := range plan.Rollouts {
		viewer, err := polymorphichelpers.StatusViewerFor(schema.GroupKind{Group: "apps", Kind: ref.Kind})
		if err != nil {
			return err
		}
		client, err := a.resource(Step{Ref: ref, APIVersion: "apps/v1"})
		if err != nil {
			return err
		}
		last := "nothing was heard of it"
		err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
			object, err := client.Get(ctx, ref.Name, metav1.GetOptions{})
			if err != nil {
				last = err.Error()
				return false, nil // the API server may be away for a moment
			}
			var done bool
			last, done, err = rolledOut(viewer, object)
			if done && len(plan.Restarts) > 0 {
				last, done = a.staffed(ctx, object, last)
			}
			progress(last)
			return done, err
		})
		if err != nil {
			return fmt.Errorf("the rollout of %s did not complete: %s", ref, last)
		}
	}
	return nil
}

// staffed tells whether as many pods are Ready as the workload wants. Right after a pod
// was deleted its status still counts that one. Where pods may not be listed, the status
// has to do.
func (a *Applier) staffed(ctx context.Context, workload *unstructured.Unstructured, status string) (string, bool) {
	var spec struct {
		Selector *metav1.LabelSelector `json:"selector"`
		Replicas *int64                `json:"replicas"`
	}
	content, _, _ := unstructured.NestedMap(workload.Object, "spec")
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &spec); err != nil || spec.Selector == nil {
		return status, true
	}
	want, isSet, _ := unstructured.NestedInt64(workload.Object, "status", "desiredNumberScheduled")
	if !isSet {
		want = ptr.Deref(spec.Replicas, 1)
	}
	pods, err := a.Client.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(workload.GetNamespace()).
		List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(spec.Selector)})
	if err != nil {
		return status, true
	}
	ready := int64(0)
	for i := range pods.Items {
		if podReady(&pods.Items[i]) {
			ready++
		}
	}
	if ready >= want {
		return status, true
	}
	return fmt.Sprintf("%d of %d pods are ready...", ready, want), false
}

func podReady(pod *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(pod.Object, "status", "conditions")
	return pod.GetDeletionTimestamp() == nil && slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(map[string]any)
		return m["type"] == string(corev1.PodReady) && m["status"] == string(corev1.ConditionTrue)
	})
}

// rolledOut asks kubectl's own judgement. That the progress deadline was exceeded is no
// end here: it may have been exceeded by the fault that was just repaired. An error that
// comes with done is one: there is no rollout to wait for (strategy OnDelete).
func rolledOut(viewer polymorphichelpers.StatusViewer, object *unstructured.Unstructured) (string, bool, error) {
	text, done, err := viewer.Status(object, 0)
	if err == nil {
		return text, done, nil
	}
	if done {
		return err.Error(), false, err
	}
	return err.Error(), false, nil
}

// Settle waits until the time in which the fault would show again is over.
func Settle(ctx context.Context, d time.Duration, progress func(string)) error {
	until := time.NewTimer(d)
	defer until.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for left := d; ; left -= pollEvery {
		progress(fmt.Sprintf("watching for %s whether the fault comes back", max(left, 0).Round(time.Second)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-until.C:
			return nil
		case <-tick.C:
		}
	}
}
