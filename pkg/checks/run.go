package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// maxReasons is how many reasons a result's Reason spells out.
const maxReasons = 3

// Run answers every check's question over one snapshot, in the order of the list.
func Run(s *facts.Snapshot, list []*Check) []Result {
	out := make([]Result, 0, len(list))
	for _, c := range list {
		out = append(out, run(s, c))
	}
	return out
}

func run(s *facts.Snapshot, c *Check) (res Result) {
	res = Result{Check: c, Status: OK}
	defer func() {
		// A fault of ours must not hide what the other checks found, nor pass for health.
		if p := recover(); p != nil {
			res = Result{Check: c, Status: Unknown, Reason: fmt.Sprintf("internal error: %v", p)}
		}
	}()
	if d := deepest(c); d > s.Depth {
		return Result{Check: c, Status: Skipped, Reason: OnlyAt(d), Deeper: d}
	}
	if gaps := missing(s, c.Needs); len(gaps) > 0 {
		if unheard(s, c.Needs) {
			return Result{Check: c, Status: Skipped, Reason: joined(gaps)}
		}
		return Result{Check: c, Status: Unknown, Reason: joined(gaps), Gaps: gaps}
	}
	if c.When != nil {
		if why := c.When(s); why != "" {
			return Result{Check: c, Status: Skipped, Reason: why, Deeper: deeper(s, why)}
		}
	}
	res.Findings = c.Run(s)
	for i := range res.Findings {
		f := &res.Findings[i]
		f.Check, f.Severity = c, cmp.Or(f.Severity, c.Severity)
	}
	slices.SortStableFunc(res.Findings, func(a, b Finding) int { return a.Subject.Compare(b.Subject) })
	res.Gaps = incomplete(s, c)
	res.Reason = joined(res.Gaps)
	switch {
	case len(res.Findings) > 0:
		res.Status = Failed
	case res.Reason != "":
		res.Status = Unknown
	}
	return res
}

// OnlyAt is why a question is not asked of a snapshot that is less deep, as Run says it of what a
// check Needs, and a check's When of what it may use.
func OnlyAt(d facts.Depth) string { return "looks only at --depth " + d.String() }

func deeper(s *facts.Snapshot, why string) facts.Depth {
	for d := s.Depth + 1; d <= facts.Host; d++ {
		if why == OnlyAt(d) {
			return d
		}
	}
	return 0
}

func deepest(c *Check) facts.Depth {
	d := facts.API
	for _, src := range c.Needs {
		d = max(d, src.Depth)
	}
	return d
}

// WouldRead returns the parts that a check which was not run would have to know. Where finding them
// out fails there are none.
func WouldRead(s *facts.Snapshot, c *Check) (parts []Part) {
	defer func() {
		if recover() != nil {
			parts = nil
		}
	}()
	if c.Parts == nil {
		return nil
	}
	return c.Parts(s)
}

func joined(gaps []string) string { return strings.Join(gaps, "; ") }

func missing(s *facts.Snapshot, sources []*facts.Source) []string {
	var why []string
	for _, src := range sources {
		if gap := s.Missing(src); gap != "" {
			why = append(why, src.Name+": "+gap)
		}
	}
	return why
}

// unheard tells whether all that is missing of these sources is what the netdoctor that
// captured the bundle did not know of. Nothing went wrong when it looked, and there is
// nobody who could look again: a new check makes no old bundle unknown.
func unheard(s *facts.Snapshot, sources []*facts.Source) bool {
	return !slices.ContainsFunc(sources, func(src *facts.Source) bool { return s.Missing(src) != "" && !s.Unheard[src.Name] })
}

// incomplete says which parts that a check must see were not seen.
func incomplete(s *facts.Snapshot, c *Check) []string {
	if c.Parts == nil {
		return nil
	}
	var why []string
	for _, p := range c.Parts(s) {
		if gap := cmp.Or(s.MissingPart(p.Source, p.Key), p.Lacks); gap != "" {
			why = append(why, fmt.Sprintf("%s of %s: %s", p.Source, p.Key, gap))
		}
	}
	if n := len(why); n > maxReasons {
		why = append(why[:maxReasons], fmt.Sprintf("and %d more", n-maxReasons))
	}
	return why
}

// PodLogs names the logs of these pods as parts that must be known. Pods that no
// container of has ever started have none.
func PodLogs(pods []*facts.Pod) []Part {
	var out []Part
	for _, p := range pods {
		if slices.ContainsFunc(p.Containers, started) {
			out = append(out, Part{Source: facts.PodLogs, Key: p.Namespace + "/" + p.Name})
		}
	}
	return out
}

func started(c facts.Container) bool {
	return c.Restarts > 0 || c.State.Phase == facts.Running || c.State.Phase == facts.Terminated || c.Last().Phase != 0
}
