package apply

import (
	"fmt"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Verdict is the judgement over a repair.
type Verdict int

// The verdicts.
const (
	IsCured   Verdict = iota // the fault is gone and nothing new is broken
	NotCured                 // it is still there, or something else broke
	CannotSay                // it could not be looked at again
)

// Look is one examination of the cluster.
type Look struct {
	Snapshot *facts.Snapshot
	Results  []checks.Result
}

// Verify compares the cluster before and after a repair of one finding.
func Verify(before, after Look, finding checks.Finding) (Verdict, string) {
	for _, r := range after.Results {
		if r.Check != finding.Check {
			continue
		}
		for _, f := range r.Findings {
			if sameFault(f, finding) {
				return NotCured, fmt.Sprintf("%s %s", f.Subject, f.Message)
			}
		}
		if r.Status == checks.Unknown || r.Reason != "" && r.Status != checks.Skipped {
			return CannotSay, r.Reason
		}
	}
	if f := newlyBroken(before, after); f != nil {
		return NotCured, fmt.Sprintf("something new is broken: %s %s", f.Subject, f.Message)
	}
	return IsCured, ""
}

func sameFault(a, b checks.Finding) bool {
	return a.Subject == b.Subject || slices.Contains(a.Places, b.Subject) || slices.Contains(b.Places, a.Subject)
}

// newlyBroken returns an error that was not there before, or nil. Pods are told apart
// by their controllers, since a repair gives them new names.
func newlyBroken(before, after Look) *checks.Finding {
	type fault struct {
		check   *checks.Check
		subject facts.Ref
	}
	known := map[fault]bool{}
	for _, r := range before.Results {
		for _, f := range r.Findings {
			known[fault{r.Check, lasting(before.Snapshot, f.Subject)}] = true
		}
	}
	for _, r := range after.Results {
		for _, f := range r.Findings {
			if f.Severity == checks.Error && !known[fault{r.Check, lasting(after.Snapshot, f.Subject)}] {
				return &f
			}
		}
	}
	return nil
}

func lasting(s *facts.Snapshot, r facts.Ref) facts.Ref {
	if r.Kind == "Pod" {
		if p := s.Pod(r.Namespace, r.Name); p != nil && p.Owner.Kind != "" {
			return p.Owner
		}
	}
	return r
}
