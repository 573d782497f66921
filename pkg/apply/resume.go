package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Resume carries a repair on that stopped half way: what it did not write yet is written,
// and one that was being taken back is taken back. A step whose object is neither what it
// was nor what the repair made of it is a Conflict, and nothing is written.
func (a *Applier) Resume(ctx context.Context, r *Repair) error {
	if r.State == TakingBack {
		return a.undo(ctx, r, r.Goal, false)
	}
	if r.State != Pending {
		return a.restart(ctx, r)
	}
	versions := make([]*string, len(r.Steps))
	done := len(r.Steps)
	for i, s := range r.Steps {
		now, where, err := a.find(ctx, s)
		if err != nil {
			return err
		}
		where = among(r.Steps, i, now, where)
		switch {
		case where == asAfter && i <= r.Done:
		case where == asBefore && i >= r.Done:
			done = min(done, i)
		default:
			return &Conflict{Ref: s.Ref, Before: s.before(), After: s.after(), Now: now}
		}
		if s.Create == nil {
			versions[i] = guard(now)
		}
	}
	if err := a.catchUp(ctx, r, done); err != nil {
		return err
	}
	if err := a.forward(ctx, r, versions); err != nil {
		return err
	}
	return a.restart(ctx, r)
}

// catchUp tells the journal of a step that it does not know to be written, before another
// one is: else it would be two writes behind, and an undo would leave one of them.
func (a *Applier) catchUp(ctx context.Context, r *Repair, done int) error {
	behind := done > r.Done
	r.Done = done
	if !behind || done == len(r.Steps) {
		return nil
	}
	if err := a.journal(ctx, r); err != nil {
		return fmt.Errorf("writing the journal (nothing was carried on): %w", err)
	}
	return nil
}

// among corrects how a step stands where another one deletes or creates its object anew.
func among(steps []Step, i int, now *unstructured.Unstructured, where place) place {
	for j, s := range steps {
		switch {
		case s.Ref != steps[i].Ref || now == nil:
		case j > i && s.Create != nil && s.found(now) == asAfter:
			return asAfter
		case j < i && s.Delete != nil && s.UID == now.GetUID():
			return asBefore
		}
	}
	return where
}
