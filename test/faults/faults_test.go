package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// count is what a fix was put through.
type count struct {
	fix     string
	index   int // among all fixes
	state   string
	writes  int // points at which faults happened: writes of the repair, of its undo and of taking it up again
	tried   int // faults of the repair and of its undo
	resumed int // faults of taking it up again
	kept    int
	kills   int
	onNodes bool
}

// TestFaults lets every fault happen at every write of every fix, and of its undo, and some
// at every write of fix --resume, such that all have their turn (turns).
func TestFaults(t *testing.T) {
	c := newCluster(t)
	var table []*count
	all := sick(t)
	for i, fix := range fixes.All() {
		n := &count{fix: fix.ID, index: i, onNodes: fix.OnNodes}
		table = append(table, n)
		t.Run(fix.ID, func(t *testing.T) {
			tr := c.find(t, fix, all)
			n.state = tr.state.name
			repair, undo := tr.sound(t)
			t.Logf("%s: %s; undo %s", tr.state.name, strings.Join(repair, ", "), strings.Join(undo, ", "))
			tr.matrix(t, n, "repair", repair, tr.faultyRepair)
			tr.matrix(t, n, "undo", undo, tr.faultyUndo)
			tr.left = tr.halves(t)
			tr.resumes(t, n)
			tr.twoAtOnce(t)
			tr.kills(t, n, repair, undo)
		})
	}
	if slices.ContainsFunc(table, func(n *count) bool { return n.state == "" }) {
		t.Log("these are some fixes alone: no table is made")
		return
	}
	c.turns.missed(t)
	write(t, table)
}

// find returns the trial of a fix: with the fixture that has the most steps among those
// with which a real API server goes along.
func (c *cluster) find(t *testing.T, fix *fixes.Fix, all []state) *trial {
	t.Helper()
	var why error
	try := func(in []state) *trial {
		for _, o := range offers(fix, in) {
			tr, err := c.newTrial(t, fix, o)
			if err == nil {
				return tr
			}
			why = errors.Join(why, fmt.Errorf("%s: %w", o.name, err))
		}
		return nil
	}
	if tr := try(all); tr != nil {
		return tr
	}
	more, err := cases()
	if err != nil {
		t.Fatal(err)
	}
	if tr := try(more); tr != nil {
		return tr
	}
	t.Fatalf("%s: there is no state in which it can be carried out; a fixture in pkg/fixes/testdata must be one:\n%v", fix.ID, why)
	return nil
}

// sound goes through a repair and its undo without faults and returns the writes of both.
func (tr *trial) sound(t *testing.T) (repair, undo []string) {
	t.Helper()
	tr.reset(t)
	tr.proxy.Arm(Fault{}, 0, nil)
	r, err := tr.applier.Apply(t.Context(), tr.fresh(), nil)
	repair = tr.proxy.Disarm()
	if err != nil {
		t.Fatalf("without any fault: %v", err)
	}
	tr.after = tr.objects(t)
	tr.print = map[string]bool{}
	for _, key := range tr.touched(t) {
		tr.print[key] = true
		if !tr.planned(key) {
			t.Errorf("it writes %s, which is not in its plan", key)
		}
	}
	tr.proxy.Arm(Fault{}, 0, nil)
	err = tr.applier.Undo(t.Context(), r, false)
	undo = tr.proxy.Disarm()
	if err != nil {
		t.Fatalf("undo without any fault: %v", err)
	}
	if diff := tr.differs(t, tr.former); diff != "" {
		t.Fatalf("undo without any fault: %s", diff)
	}
	return repair, undo
}

func (tr *trial) planned(key string) bool {
	for _, c := range tr.plan.Changes {
		if named(key, c.Ref()) {
			return true
		}
	}
	for _, p := range tr.plan.Restarts {
		if named(key, p.Ref()) {
			return true
		}
	}
	return false
}

// matrix lets every fault happen at each of some writes.
func (tr *trial) matrix(t *testing.T, n *count, what string, writes []string, run func(*testing.T, Fault, int, ending) (bool, error)) {
	t.Helper()
	n.writes += len(writes)
	for i, write := range writes {
		for _, fault := range Faults(n.index + i) {
			for _, end := range []ending{(*trial).undo, (*trial).resume} {
				n.tried++
				again, err := run(t, fault, i+1, end)
				if err == nil {
					n.kept++
				} else {
					t.Errorf("%s, write %d (%s): %s; seen were %s: %v", what, i+1, write, fault.Name, strings.Join(tr.seen, ", "), err)
				}
				if !again {
					break
				}
			}
		}
	}
}

// faultyRepair fails a repair and brings what is left of it to an end. It tells whether
// there are several ways to do that.
func (tr *trial) faultyRepair(t *testing.T, fault Fault, nth int, end ending) (bool, error) {
	tr.reset(t)
	var r *apply.Repair
	err := tr.faulty(t, fault, nth, func(ctx context.Context) (err error) {
		r, err = tr.applier.Apply(ctx, tr.fresh(), nil)
		return err
	})
	entry, wrong := tr.judge(t, err, apply.Applied)
	if wrong == nil && r != nil && !r.Open() {
		wrong = tr.is(t, tr.former, "it says that nothing is left of the repair")
	}
	if wrong != nil {
		return false, fmt.Errorf("the repair ends with %q: %w", said(err), wrong)
	}
	if entry == nil || !entry.Open() {
		return false, nil
	}
	if err := end(tr, t, entry); err != nil {
		return false, fmt.Errorf("the repair ends with %q and is %s: %w", said(err), entry.State, err)
	}
	return entry.Half(), nil
}

// faultyUndo fails an undo and brings it to an end.
func (tr *trial) faultyUndo(t *testing.T, fault Fault, nth int, end ending) (bool, error) {
	tr.reset(t)
	if _, err := tr.applier.Apply(t.Context(), tr.fresh(), nil); err != nil {
		return false, fmt.Errorf("the repair: %w", err)
	}
	err := tr.faulty(t, fault, nth, func(ctx context.Context) error {
		entry, err := tr.entry(t)
		if err == nil {
			err = tr.applier.Undo(ctx, entry, false)
		}
		return err
	})
	entry, wrong := tr.judge(t, err, apply.Undone)
	if wrong != nil {
		return false, fmt.Errorf("the undo ends with %q: %w", said(err), wrong)
	}
	if entry == nil || !entry.Open() {
		return false, nil
	}
	half := entry.Half()
	if wrong := end(tr, t, entry); wrong != nil {
		return false, fmt.Errorf("the undo ends with %q: %w", said(err), wrong)
	}
	return half, nil
}

// faulty runs something while a fault happens.
func (tr *trial) faulty(t *testing.T, fault Fault, nth int, do func(context.Context) error) error {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	happen := tr.hurry.end
	if fault.Hidden == Interrupts {
		happen = interrupt
	}
	tr.proxy.Arm(fault, nth, happen)
	defer func() { tr.seen = tr.proxy.Disarm() }()
	return do(ctx)
}
