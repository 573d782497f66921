package apply

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/dynamic"
)

// restart deletes the repair's pods, each only if it is still the one that was shown.
func (a *Applier) restart(ctx context.Context, r *Repair) error {
	for _, p := range r.Restarts {
		pods := a.Client.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(p.Namespace)
		err := pods.Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}})
		if apierrors.IsConflict(err) && !stays(ctx, pods, p) || apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("deleting pod %s/%s: %w", p.Namespace, p.Name, err)
		}
	}
	return nil
}

// stays tells whether the very pod is there and nobody deletes it, or whether that is not
// known. Not every conflict says that another pod has its name by now: an admission webhook
// may refuse with the same code. It is looked for in a list, as whoever looks at the cluster
// may read it.
func stays(ctx context.Context, pods dynamic.ResourceInterface, p Restart) bool {
	list, err := pods.List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, p.Name).String()})
	return err != nil || slices.ContainsFunc(list.Items, func(o unstructured.Unstructured) bool {
		return o.GetUID() == p.UID && o.GetDeletionTimestamp() == nil
	})
}
