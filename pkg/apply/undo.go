package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Conflict is an ErrChanged that knows the object before the repair, after it and as it
// is now; nil where it is not there.
type Conflict struct {
	Ref                facts.Ref
	Before, After, Now *unstructured.Unstructured
}

// Error names the object.
func (c *Conflict) Error() string { return fmt.Sprintf("%s: %v", c.Ref, ErrChanged) }

// Unwrap makes it ErrChanged.
func (c *Conflict) Unwrap() error { return ErrChanged }

// Undo takes a repair back, newest step first. What somebody has changed since makes it a
// Conflict, and nothing is written; force takes the repair's own changes back all the same
// and keeps theirs. Where it stops half way, the entry keeps what is still to be taken
// back.
func (a *Applier) Undo(ctx context.Context, r *Repair, force bool) error {
	return a.takeBack(ctx, r, Undone, force)
}

// RollBack takes a repair back because it did not cure.
func (a *Applier) RollBack(ctx context.Context, r *Repair, why string) error {
	r.Outcome = why
	return a.takeBack(ctx, r, RolledBack, false)
}

func (a *Applier) takeBack(ctx context.Context, r *Repair, state State, force bool) error {
	if !r.Open() {
		return fmt.Errorf("repair %s is %s already", r.ID, r.State)
	}
	return a.undo(ctx, r, state, force)
}

// PreviewUndo asks the API server what taking a repair back would make of each object.
func (a *Applier) PreviewUndo(ctx context.Context, r *Repair, force bool) ([]Preview, error) {
	steps, err := a.standing(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []Preview
	seen := map[facts.Ref]bool{}
	for _, step := range slices.Backward(steps) {
		p := Preview{Ref: step.Ref, After: step.Delete}
		if !seen[step.Ref] { // else it is another object once the later step is taken back
			if p, err = a.undoStep(ctx, step, force, metav1.DryRunAll); err != nil {
				return nil, fmt.Errorf("dry run on %s: %w", step.Ref, err)
			}
		}
		seen[step.Ref] = true
		out = append(out, p)
	}
	return out, nil
}

// undo first asks for all steps whether they can be taken back. The journal is written
// before each; where that fails only the first time counts, for a step that is taken back
// already is found to be so.
func (a *Applier) undo(ctx context.Context, r *Repair, goal State, force bool) error {
	if _, err := a.PreviewUndo(ctx, r, force); err != nil {
		return err
	}
	steps, err := a.standing(ctx, r)
	if err != nil {
		return err
	}
	begun := r.State == TakingBack
	r.Done, r.State, r.Goal = len(steps), TakingBack, goal
	for ; r.Done > 0; r.Done-- {
		if err := a.journal(ctx, r); err != nil && !begun {
			return fmt.Errorf("writing the journal (nothing was taken back): %w", err)
		}
		begun = true
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		if err := a.undoNow(ctx, steps[r.Done-1], force); err != nil {
			return fmt.Errorf("undoing the change of %s: %w", steps[r.Done-1].Ref, err)
		}
	}
	r.State, r.Goal = goal, ""
	return a.journal(ctx, r)
}

func (a *Applier) undoNow(ctx context.Context, s Step, force bool) error {
	ctx, cancel := s.shielded(ctx)
	defer cancel()
	_, err := a.undoStep(ctx, s, force, "")
	return err
}

// standing returns the steps that are to be taken back. The journal is one write behind
// at most, so of a pending repair one step more than it tells may be written.
func (a *Applier) standing(ctx context.Context, r *Repair) ([]Step, error) {
	known := r.Steps[:min(r.Done, len(r.Steps))]
	if r.State != Pending || len(known) == len(r.Steps) {
		return known, nil
	}
	next := r.Steps[len(known)]
	now, where, err := a.find(ctx, next)
	if err != nil {
		return nil, err
	}
	if where == asAfter || where == otherwise && writtenBy(now, r.Time) {
		return r.Steps[:len(known)+1], nil
	}
	return known, nil
}

// writtenBy tells whether a repair of that time, or a later one, wrote the object.
func writtenBy(o *unstructured.Unstructured, since time.Time) bool {
	return o != nil && slices.ContainsFunc(o.GetManagedFields(), func(m metav1.ManagedFieldsEntry) bool {
		return m.Manager == fieldManager && m.Time != nil && !m.Time.Time.Before(since.Truncate(time.Second))
	})
}

// undoStep takes one step back, or asks what that would do.
func (a *Applier) undoStep(ctx context.Context, s Step, force bool, dryRun string) (Preview, error) {
	for left := retries; ; left-- {
		now, where, err := a.find(ctx, s)
		if err != nil {
			return Preview{}, err
		}
		back := s.inverse()
		switch {
		case where == asBefore, force && now == nil && s.Delete == nil:
			return Preview{s.Ref, now, now}, nil // there is nothing to take back
		case where == otherwise && !force, where == otherwise && s.Delete != nil:
			return Preview{}, &Conflict{s.Ref, s.before(), s.after(), now}
		case where == otherwise:
			if back, err = forced(s, now); err != nil {
				return Preview{}, err
			}
		}
		after, err := a.do(ctx, back, guard(now), dryRun)
		if errors.Is(err, ErrChanged) && left > 0 {
			continue // between reading and writing; a controller may have set its status
		}
		return Preview{s.Ref, now, after}, err
	}
}

func (s Step) before() *unstructured.Unstructured {
	if s.Delete != nil {
		return s.Delete
	}
	return s.Before
}

func (s Step) after() *unstructured.Unstructured {
	if s.After != nil {
		return s.After
	}
	return s.Create
}

// forced returns the step back that keeps what others changed.
func forced(s Step, now *unstructured.Unstructured) (Step, error) {
	back := s.inverse()
	back.UID = now.GetUID()
	if s.Create != nil {
		return back, nil
	}
	bare := Bare(now)
	merged, _ := merge3(s.After.Object, s.Before.Object, bare.Object).(map[string]any)
	var err error
	back.Patch, err = patch(bare, &unstructured.Unstructured{Object: merged})
	return back, err
}

// place is how an object stands to a step.
type place int

const (
	asBefore  place = iota // as before the step: it was not written, or is taken back
	asAfter                // as the step made it
	otherwise              // somebody has changed it since
)

// find reads the object of a step and tells how it stands.
func (a *Applier) find(ctx context.Context, s Step) (*unstructured.Unstructured, place, error) {
	now, err := a.get(ctx, s)
	if err != nil {
		return nil, otherwise, fmt.Errorf("reading %s: %w", s.Ref, err)
	}
	return now, s.found(now), nil
}

// get reads the object of a step; nil where there is none.
func (a *Applier) get(ctx context.Context, s Step) (*unstructured.Unstructured, error) {
	client, err := a.resource(s)
	if meta.IsNoMatchError(err) && s.Create != nil {
		return nil, nil // its kind is gone, or was never defined
	}
	if err != nil {
		return nil, err
	}
	now, err := client.Get(ctx, s.Ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return now, err
}

func (s Step) found(now *unstructured.Unstructured) place {
	same := now != nil && (s.UID == "" || s.UID == now.GetUID())
	switch {
	case s.Create != nil && now == nil:
		return asBefore
	case s.Create != nil && same && (s.After != nil && holds(Bare(now).Object, s.After.Object) || holds(Bare(now).Object, Bare(s.Create).Object)):
		return asAfter
	case s.Delete != nil && now == nil:
		return asAfter
	case s.Delete != nil && holds(Bare(now).Object, Bare(s.Delete).Object):
		return asBefore
	case s.Create != nil || s.Delete != nil || !same:
		return otherwise
	case fits(s.Undo, now):
		return asAfter
	case s.Before != nil && fits(keeping(s.Patch, s.Before), now), s.Before == nil && fits(s.Patch, now):
		return asBefore
	}
	return otherwise
}

// fits tells whether a patch, with the tests in it, applies to an object.
func fits(ops []Operation, o *unstructured.Unstructured) bool {
	text, err := json.Marshal(ops)
	if err != nil {
		return false
	}
	p, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return false
	}
	if text, err = json.Marshal(o); err != nil {
		return false
	}
	_, err = p.Apply(text)
	return err == nil
}

// holds tells whether every field of part is in whole, with its value. Whole may have
// more: what the API server and controllers add.
func holds(whole, part any) bool {
	switch p := part.(type) {
	case map[string]any:
		w, ok := whole.(map[string]any)
		if !ok {
			return len(p) == 0 && whole == nil
		}
		for k, v := range p {
			if !holds(w[k], v) {
				return false
			}
		}
		return true
	case []any:
		w, ok := whole.([]any)
		if !ok || len(w) != len(p) {
			return len(p) == 0 && whole == nil
		}
		for i, v := range p {
			if !holds(w[i], v) {
				return false
			}
		}
		return true
	}
	return sameValue(whole, part)
}

// sameValue compares values of JSON, in which 1 and 1.0 are one number.
func sameValue(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && jsonpatch.Equal(x, y)
}
