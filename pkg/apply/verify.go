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

// Verify compares the cluster before and after a repair of one finding. What was not
// looked at again is not cured.
func Verify(before, after Look, finding checks.Finding) (Verdict, string) {
	i := slices.IndexFunc(after.Results, func(r checks.Result) bool { return r.Check == finding.Check })
	if i < 0 {
		return CannotSay, finding.Check.ID + " was not asked again"
	}
	r := after.Results[i]
	was := sites(before.Snapshot, finding)
	for _, f := range r.Findings {
		if slices.ContainsFunc(sites(after.Snapshot, f), func(s facts.Ref) bool { return slices.Contains(was, s) }) {
			return NotCured, fmt.Sprintf("%s %s", f.Subject, f.Message)
		}
	}
	if r.Reason != "" || r.Status == checks.Unknown || r.Status == checks.Skipped {
		return CannotSay, r.Reason
	}
	if f := newlyBroken(before, after); f != nil {
		return NotCured, fmt.Sprintf("something new is broken: %s %s", f.Subject, f.Message)
	}
	return IsCured, ""
}

// sites returns where a fault shows, in names that outlast a repair.
func sites(s *facts.Snapshot, f checks.Finding) []facts.Ref {
	var out []facts.Ref
	for _, r := range append([]facts.Ref{f.Subject}, f.Places...) {
		out = append(out, r, lasting(s, r))
	}
	return out
}

// newlyBroken returns an error that was not there before, or nil.
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

// lasting names a pod by its controller, since a repair gives pods new names.
func lasting(s *facts.Snapshot, r facts.Ref) facts.Ref {
	if r.Kind == "Pod" {
		if p := s.Pod(r.Namespace, r.Name); p != nil && p.Owner.Kind != "" {
			return p.Owner
		}
	}
	return r
}
