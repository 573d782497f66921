package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
)

// half is how a repair was left: its process, or that of its undo, died when one of the
// writes was carried out.
type half struct {
	name string
	back bool // it was being taken back
	last int  // the write, counted from 1

	writes []string // of taking it up again
}

// ways returns the ways to leave a repair half done, or half taken back, that a plan has:
// with its first change made, or taken back, of which the journal does not know. Where no
// other change comes after that, also with the journal written and nothing else: else no
// change would be among the writes of a repair that is taken up again.
func (tr *trial) ways() []half {
	begun := half{name: "begun", last: 1}
	switch len(tr.plan.Changes) {
	case 0:
		return []half{begun}
	case 1:
		return []half{
			begun, {name: "changed", last: 2},
			{name: "about to be taken back", back: true, last: 1}, {name: "taken back but for the journal", back: true, last: 2},
		}
	}
	return []half{{name: "changed once", last: 2}, {name: "taken back once", back: true, last: 2}}
}

// leave leaves the repair so and returns its entry.
func (tr *trial) leave(t *testing.T, h half) (*apply.Repair, error) {
	t.Helper()
	tr.reset(t)
	dies := Fault{Carried: true, Lasting: true}
	var err error
	if h.back {
		r, failed := tr.applier.Apply(t.Context(), tr.fresh(), nil)
		if failed != nil {
			return nil, fmt.Errorf("the repair: %w", failed)
		}
		err = tr.faulty(t, dies, h.last, func(ctx context.Context) error { return tr.applier.Undo(ctx, r, false) })
	} else {
		err = tr.faulty(t, dies, h.last, func(ctx context.Context) error {
			_, err := tr.applier.Apply(ctx, tr.fresh(), nil)
			return err
		})
	}
	if err == nil {
		return nil, errors.New("it is not half done: there was no error")
	}
	entry, err := tr.entry(t)
	state := apply.Pending
	if h.back {
		state = apply.TakingBack
	}
	if err == nil && (entry == nil || entry.State != state) {
		err = fmt.Errorf("it is not half done: the journal has %s", told(entry))
	}
	return entry, err
}

// halves leaves the repair in every way, takes it up again without a fault, and returns
// the ways with the writes of that.
func (tr *trial) halves(t *testing.T) []half {
	t.Helper()
	var out []half
	for _, h := range tr.ways() {
		entry, err := tr.leave(t, h)
		if err != nil {
			t.Fatalf("%s: %v", h.name, err)
		}
		tr.proxy.Arm(Fault{}, 0, nil)
		err = tr.applier.Resume(t.Context(), entry)
		h.writes = tr.proxy.Disarm()
		if err == nil {
			err = tr.resumed(t, h.back)
		}
		if err != nil {
			t.Fatalf("%s, taken up again without any fault: %v", h.name, err)
		}
		out = append(out, h)
	}
	return out
}

// resumes lets faults happen at every write of a repair that is taken up again, from
// every half. Which faults is a matter of turns. What is then left is taken back, or taken
// up once more, in turns as well.
func (tr *trial) resumes(t *testing.T, n *count) {
	t.Helper()
	for _, h := range tr.left {
		n.writes += len(h.writes)
		for i, write := range h.writes {
			for _, fault := range tr.turns.next(h.kind(write)) {
				// A write meets its faults in pairs: what ends the first of one ends the second of the next.
				end := []ending{(*trial).undo, (*trial).resume}[(n.index+n.resumed+n.resumed/2)%2]
				n.resumed++
				if err := tr.faultyResume(t, h, fault, i+1, end); err != nil {
					t.Errorf("%s, taken up again, write %d (%s): %s; seen were %s: %v", h.name, i+1, write, fault.Name, strings.Join(tr.seen, ", "), err)
					continue
				}
				n.kept++
			}
		}
	}
}

// faultyResume fails a repair that is taken up again and brings it to an end.
func (tr *trial) faultyResume(t *testing.T, h half, fault Fault, nth int, end ending) error {
	t.Helper()
	r, err := tr.leave(t, h)
	if err != nil {
		return err
	}
	err = tr.faulty(t, fault, nth, func(ctx context.Context) error { return tr.applier.Resume(ctx, r) })
	state := apply.Applied
	if h.back {
		state = apply.Undone
	}
	entry, wrong := tr.judge(t, err, state)
	switch {
	case wrong == nil && entry == nil:
		wrong = errors.New("the journal has lost it")
	case wrong == nil && !r.Open():
		wrong = tr.is(t, tr.former, "it says that nothing is left of the repair")
	}
	if wrong != nil {
		return fmt.Errorf("that ends with %q: %w", said(err), wrong)
	}
	if !entry.Open() {
		return nil
	}
	if wrong := end(tr, t, entry); wrong != nil {
		return fmt.Errorf("that ends with %q and the repair is %s: %w", said(err), entry.State, wrong)
	}
	return nil
}
