package apply

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/kubectl/pkg/polymorphichelpers"

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
			progress(last)
			return done, err
		})
		if err != nil {
			return fmt.Errorf("the rollout of %s did not complete: %s", ref, last)
		}
	}
	return nil
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
