package faults

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
)

// twoAtOnce lets two people carry the same plan out: the first write of the one waits for
// that of the other.
func (tr *trial) twoAtOnce(t *testing.T) {
	t.Helper()
	if len(tr.plan.Changes) == 0 {
		return
	}
	tr.reset(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	arrived, both := 0, make(chan struct{})
	tr.proxy.Gate(func(write string) {
		if strings.HasSuffix(write, " journal") {
			return
		}
		mu.Lock()
		if arrived++; arrived == 2 {
			close(both)
		}
		mu.Unlock()
		select {
		case <-both:
		case <-time.After(longest):
		}
	})
	var errs [2]error
	var repairs [2]*apply.Repair
	for i := range errs {
		plan := tr.fresh()
		wait.Go(func() { repairs[i], errs[i] = tr.applier.Apply(t.Context(), plan, nil) })
	}
	wait.Wait()
	tr.proxy.Disarm()
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	loser := repairs[1-winner]
	switch {
	case errs[winner] != nil:
		t.Errorf("two at once: neither wins: %v; %v", errs[0], errs[1])
	case errs[1-winner] == nil:
		t.Errorf("two at once: both are told that they repaired")
	case loser == nil || loser.Open():
		t.Errorf("two at once: the other one is told %q, and that something of it stands", errs[1-winner])
	}
	if err := tr.is(t, tr.after, "one of two repaired"); err != nil {
		t.Error(err)
	}
	if err := tr.applier.Undo(t.Context(), repairs[winner], false); err != nil {
		t.Errorf("two at once: the repair of the one who won cannot be undone: %v", err)
	} else if err := tr.is(t, tr.former, "one of two repaired and undid"); err != nil {
		t.Error(err)
	}
}
