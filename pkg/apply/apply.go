// Package apply carries a plan out: server-side dry run, diff, journal, guarded write,
// rollout, verification, undo. It is the only package that changes a user's objects.
//
// Every write is bound to what was shown: it carries the resourceVersion that the plan
// was made from, and the API server refuses it if the object has changed since.
package apply

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// fieldManager is the name under which the API server records the writes.
const fieldManager = "kubectl-netdoctor"

// ErrChanged says that an object is no longer what the plan, or the undo, was made for.
var ErrChanged = errors.New("it has changed in the meantime")

// Applier writes to one cluster.
type Applier struct {
	Client  dynamic.Interface
	Mapper  meta.RESTMapper
	Journal *Journal
	Server  string // the API server's address, for the journal
	Context string // the kubeconfig context, for the journal
	Now     func() time.Time
}

// Preview is a change as the API server would carry it out.
type Preview struct {
	Ref           facts.Ref
	Before, After *unstructured.Unstructured
}

// Preview asks the API server what it would make of each change (dryRun=All). Nothing
// is written; admission and validation have had their say.
func (a *Applier) Preview(ctx context.Context, plan fixes.Plan) ([]Preview, error) {
	var out []Preview
	for _, c := range plan.Changes {
		step, err := newStep(c)
		if err != nil {
			return nil, err
		}
		after, err := a.do(ctx, step, guard(c.Before), metav1.DryRunAll)
		if err != nil {
			return nil, fmt.Errorf("dry run on %s: %w", c.Ref(), err)
		}
		out = append(out, Preview{Ref: c.Ref(), Before: c.Before, After: after})
	}
	return out, nil
}

// Apply journals the plan, then writes it. The repair that it returns tells what was
// done, also beside an error: changes that were made before it are in the journal.
func (a *Applier) Apply(ctx context.Context, plan fixes.Plan) (*Repair, error) {
	r := &Repair{
		ID: newID(a.Now()), Time: a.Now().UTC(), Fix: plan.Fix.ID, Check: plan.Finding.Check.ID,
		Subject: plan.Finding.Subject, Server: a.Server, Context: a.Context, State: Pending,
	}
	for _, c := range plan.Changes {
		step, err := newStep(c)
		if err != nil {
			return nil, err
		}
		r.Steps = append(r.Steps, step)
	}
	if err := a.Journal.Write(ctx, r); err != nil {
		return nil, fmt.Errorf("writing the journal (nothing was changed): %w", err)
	}
	for i, c := range plan.Changes {
		if _, err := a.do(ctx, r.Steps[i], guard(c.Before), ""); err != nil {
			failed := fmt.Errorf("changing %s: %w", c.Ref(), err)
			if !refused(err) {
				return r, failed // it may have been written: the entry stays pending
			}
			return r, errors.Join(failed, a.abandon(ctx, r, i))
		}
		r.Done = i + 1
	}
	r.State = Applied
	if err := a.Journal.Write(ctx, r); err != nil {
		return r, fmt.Errorf("the changes are made, but not the journal's entry: %w", err)
	}
	return r, a.restart(ctx, plan)
}

// refused tells whether the API server itself said no, so that nothing was written. A
// 5xx is no such answer: behind a time-out of etcd or of a proxy the write may stand.
func refused(err error) bool {
	var status apierrors.APIStatus
	return errors.Is(err, ErrChanged) || errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError
}

// abandon takes back the steps before the one that failed, or closes the entry where
// there were none.
func (a *Applier) abandon(ctx context.Context, r *Repair, done int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	r.Done, r.State = done, NotApplied
	if done == 0 {
		return a.Journal.Write(ctx, r)
	}
	if err := a.undo(ctx, r, RolledBack); err != nil {
		r.State = Pending // as its entry says: some of it stands
		return err
	}
	return nil
}

// restart deletes the plan's pods, each only if it is still the one that was shown.
func (a *Applier) restart(ctx context.Context, plan fixes.Plan) error {
	pods := a.Client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"})
	for _, p := range plan.Restarts {
		uid := types.UID(p.UID())
		err := pods.Namespace(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting pod %s/%s: %w", p.Namespace, p.Name, err)
		}
	}
	return nil
}

// Undo takes a repair back, newest step first. A field that somebody has changed since
// makes it ErrChanged, and nothing is overwritten. Where it stops half way, the entry
// keeps what is still to be taken back.
func (a *Applier) Undo(ctx context.Context, r *Repair) error { return a.takeBack(ctx, r, Undone) }

// PreviewUndo asks the API server what taking a repair back would make of each object.
func (a *Applier) PreviewUndo(ctx context.Context, r *Repair) ([]Preview, error) {
	var out []Preview
	for _, step := range slices.Backward(written(r)) {
		client, err := a.resource(step)
		if err != nil {
			return nil, err
		}
		now, err := client.Get(ctx, step.Ref.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading %s: %w", step.Ref, err)
		}
		after, err := a.do(ctx, step.inverse(), nil, metav1.DryRunAll)
		if r.State == Pending && untouched(step, err) {
			after, err = now, nil
		}
		if err != nil {
			return nil, fmt.Errorf("dry run on %s: %w", step.Ref, err)
		}
		out = append(out, Preview{Ref: step.Ref, Before: now, After: after})
	}
	return out, nil
}

// RollBack takes a repair back because it did not cure.
func (a *Applier) RollBack(ctx context.Context, r *Repair) error {
	return a.takeBack(ctx, r, RolledBack)
}

func (a *Applier) takeBack(ctx context.Context, r *Repair, state State) error {
	if !r.Open() {
		return fmt.Errorf("repair %s is %s already", r.ID, r.State)
	}
	return a.undo(ctx, r, state)
}

func (a *Applier) undo(ctx context.Context, r *Repair, state State) error {
	steps := written(r)
	for i, step := range slices.Backward(steps) {
		if err := a.undoStep(ctx, step, r.State == Pending); err != nil {
			return errors.Join(fmt.Errorf("undoing the change of %s: %w", step.Ref, err), a.stopUndo(ctx, r, i+1, len(steps)))
		}
	}
	r.State = state
	return a.Journal.Write(ctx, r)
}

// stopUndo keeps that only the first steps are still to be taken back: those after them
// could not be taken back a second time. A pending repair finds that out by itself.
func (a *Applier) stopUndo(ctx context.Context, r *Repair, left, steps int) error {
	if !r.Open() || r.State == Pending || left == steps {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	r.Done = left
	return a.Journal.Write(ctx, r)
}

// written returns the steps to take back: all of a pending repair, of which it is found
// out one by one whether they were written.
func written(r *Repair) []Step {
	if r.State == Pending {
		return r.Steps
	}
	return r.Steps[:min(r.Done, len(r.Steps))]
}

func (a *Applier) undoStep(ctx context.Context, step Step, maybe bool) error {
	_, err := a.do(ctx, step.inverse(), nil, "")
	if maybe && untouched(step, err) {
		return nil
	}
	return err
}

// untouched tells from the answer to its undo that a step was never written: the fields
// are not what the repair made them, what it creates is not there, what it deletes is.
func untouched(step Step, err error) bool {
	return errors.Is(err, ErrChanged) ||
		step.Create != nil && apierrors.IsNotFound(err) ||
		step.Delete != nil && apierrors.IsAlreadyExists(err)
}

// guard returns the precondition of a write: the version that was shown.
func guard(before *unstructured.Unstructured) *string {
	if before == nil {
		return nil
	}
	version := before.GetResourceVersion()
	return &version
}
