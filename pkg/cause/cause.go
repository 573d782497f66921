// Package cause turns the results of checks into root causes, with the symptoms that
// they explain folded below them.
package cause

import (
	"cmp"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Node is a finding with the findings that it explains.
type Node struct {
	checks.Finding
	More     []facts.Ref // the subjects of the findings that are told together with this one
	Symptoms []*Node
	Deeper   []Deeper // of a root: where nobody looked for its cause
}

// Roots returns the findings that nothing explains, the gravest first, each with its
// symptoms below it. A finding explains another only where its check says so, it does not
// stand alone, the other is not marked as unexplained, and the other's subject, or one of its
// places, is or stands on its subject or one of its places. Findings that tell the same in the
// same words about several objects are one node, and none is less grave than what it explains.
func Roots(s *facts.Snapshot, results []checks.Result) []*Node {
	nodes := collect(results)
	explained := link(s, nodes)
	var roots []*Node
	for _, n := range nodes {
		if !explained[n] {
			roots = append(roots, n)
		}
	}
	roots = merge(roots)
	unasked := newUnasked(s, results)
	for _, n := range roots {
		n.raise()
		n.Deeper = unasked.of(n)
	}
	slices.SortStableFunc(roots, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(weight(s, b), weight(s, a)),
			cmp.Compare(a.Check.ID, b.Check.ID), a.Subject.Compare(b.Subject))
	})
	return roots
}

// raise makes a finding as grave as the gravest that it explains: what brings about an
// outage is not less than that.
func (n *Node) raise() {
	for _, symptom := range n.Symptoms {
		symptom.raise()
		n.Severity = max(n.Severity, symptom.Severity)
	}
}

func collect(results []checks.Result) []*Node {
	var nodes []*Node
	for _, r := range results {
		for _, f := range r.Findings {
			nodes = append(nodes, &Node{Finding: f})
		}
	}
	return nodes
}

// link hangs every finding below one that explains it directly, and returns which
// findings are explained. Where several do, the first in the order of the results
// takes it: a symptom is told once. A cluster may have 150,000 findings on 5,000
// nodes, so no finding is held against every other.
func link(s *facts.Snapshot, nodes []*Node) map[*Node]bool {
	first := explainers(nodes)
	explained := map[*Node]bool{}
	for _, n := range nodes {
		if n.Unexplained {
			continue
		}
		if i, found := explainer(s, first[n.Check], n); found {
			nodes[i].Symptoms = append(nodes[i].Symptoms, n)
			explained[n] = true
		}
	}
	for _, n := range nodes {
		slices.SortStableFunc(n.Symptoms, func(a, b *Node) int {
			return cmp.Compare(slices.Index(n.Check.Explains, a.Check), slices.Index(n.Check.Explains, b.Check))
		})
	}
	return explained
}

// explainers returns, for each check, which finding is the first to explain that check's
// findings about what stands on an object.
func explainers(nodes []*Node) map[*checks.Check]map[facts.Ref]int {
	first := map[*checks.Check]map[facts.Ref]int{}
	for i, n := range nodes {
		if n.Alone {
			continue
		}
		for _, check := range n.Check.Explains {
			if first[check] == nil {
				first[check] = map[facts.Ref]int{}
			}
			for _, r := range objects(n) {
				if _, taken := first[check][r]; !taken {
					first[check][r] = i
				}
			}
		}
	}
	return first
}

// explainer returns which finding is the first to explain this one, given the first for
// each object.
func explainer(s *facts.Snapshot, first map[facts.Ref]int, n *Node) (index int, found bool) {
	if len(first) == 0 {
		return 0, false
	}
	for _, r := range objects(n) {
		for under := range s.Under(r) {
			if i, explains := first[under]; explains && (!found || i < index) {
				index, found = i, true
			}
		}
	}
	return index, found
}

func objects(n *Node) []facts.Ref { return append([]facts.Ref{n.Subject}, n.Places...) }

// merge makes one node of siblings with the same words, the further subjects becoming
// places and the gravest severity that of all, and does the same among their symptoms.
func merge(siblings []*Node) []*Node {
	type words struct {
		check           *checks.Check
		kind            string
		message, remedy string
	}
	first := map[words]*Node{}
	told := map[*Node]map[facts.Ref]bool{}
	var out []*Node
	for _, n := range siblings {
		w := words{n.Check, n.Subject.Kind, n.Message, n.Remedy}
		known := first[w]
		if known == nil {
			first[w] = n
			out = append(out, n)
			n.Places = slices.Clone(n.Places)
			n.Evidence = slices.Clone(n.Evidence)
			continue
		}
		if told[known] == nil {
			told[known] = map[facts.Ref]bool{}
			for _, r := range objects(known) {
				told[known][r] = true
			}
		}
		known.Severity = max(known.Severity, n.Severity)
		known.More = append(append(known.More, n.Subject), n.More...)
		for _, r := range objects(n) {
			if !told[known][r] {
				told[known][r] = true
				known.Places = append(known.Places, r)
			}
		}
		known.Evidence = append(known.Evidence, n.Evidence...)
		known.Symptoms = append(known.Symptoms, n.Symptoms...)
	}
	for _, n := range out {
		n.Symptoms = merge(n.Symptoms)
	}
	return out
}

func weight(s *facts.Snapshot, n *Node) int {
	w := s.Weight(n.Subject)
	for _, r := range n.Places {
		w = max(w, s.Weight(r))
	}
	return w
}
