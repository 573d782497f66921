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

// Known is what a repair must know of the cluster before it to judge over it: where the
// fault showed, and what was broken besides.
type Known struct {
	Sites  []facts.Ref `json:"sites"`
	Faults []Fault     `json:"faults,omitempty"`
	// Cut says that there were too many faults to keep: whether anything new broke is then
	// not known.
	Cut bool `json:"cut,omitempty"`
}

// Fault is one finding in names that outlast a repair.
type Fault struct {
	Check   string    `json:"check"`
	Subject facts.Ref `json:"subject"`
}

// mostFaults bounds what the journal keeps: a large cluster may have 150,000 findings.
const mostFaults = 3000

// Remember returns what is known before the repair of a finding.
func Remember(before Look, finding checks.Finding) *Known {
	k := &Known{Sites: sites(before.Snapshot, finding)}
	for _, r := range before.Results {
		for _, f := range r.Findings {
			k.Faults = append(k.Faults, Fault{r.Check.ID, lasting(before.Snapshot, f.Subject)})
		}
	}
	return k
}

// Kept returns as much of it as the journal takes.
func (k *Known) Kept() *Known {
	if k == nil || len(k.Faults) <= mostFaults {
		return k
	}
	return &Known{Sites: k.Sites, Cut: true}
}

// Verify compares the cluster before and after a repair of one finding. What was not
// looked at again is not cured.
func Verify(before, after Look, finding checks.Finding) (Verdict, string) {
	return Remember(before, finding).Verify(after, finding.Check)
}

// Verify judges over the repair of a check's finding.
func (k *Known) Verify(after Look, check *checks.Check) (Verdict, string) {
	i := slices.IndexFunc(after.Results, func(r checks.Result) bool { return r.Check == check })
	if i < 0 {
		return CannotSay, check.ID + " was not asked again"
	}
	r := after.Results[i]
	for _, f := range r.Findings {
		if slices.ContainsFunc(sites(after.Snapshot, f), func(s facts.Ref) bool { return slices.Contains(k.Sites, s) }) {
			return NotCured, fmt.Sprintf("%s %s", f.Subject, f.Message)
		}
	}
	if r.Reason != "" || r.Status == checks.Unknown || r.Status == checks.Skipped {
		return CannotSay, r.Reason
	}
	if k.Cut {
		return CannotSay, "what was broken before is not known any more, and so not whether anything new is"
	}
	if f := k.newlyBroken(after); f != nil {
		return NotCured, fmt.Sprintf("something new is broken: %s %s", f.Subject, f.Message)
	}
	return IsCured, ""
}

// sites returns where a fault shows, in names that outlast a repair. That of a node outlasts it by
// itself: the controller of its pods has some on other nodes, too.
func sites(s *facts.Snapshot, f checks.Finding) []facts.Ref {
	var out []facts.Ref
	for _, r := range append([]facts.Ref{f.Subject}, f.Places...) {
		out = append(out, r)
		if l := lasting(s, r); l != r && f.Subject.Kind != "Node" {
			out = append(out, l)
		}
	}
	return out
}

// newlyBroken returns an error that was not there before, or nil.
func (k *Known) newlyBroken(after Look) *checks.Finding {
	known := map[Fault]bool{}
	for _, f := range k.Faults {
		known[f] = true
	}
	for _, r := range after.Results {
		for _, f := range r.Findings {
			if f.Severity == checks.Error && !known[Fault{r.Check.ID, lasting(after.Snapshot, f.Subject)}] {
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
