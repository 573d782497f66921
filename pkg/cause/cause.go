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
	Symptoms []*Node
}

// Roots returns the findings that nothing explains, the gravest first, each with its
// symptoms below it. A finding explains another only where its check says so and the
// other's subject is, or stands on, its subject or one of its places. Findings that
// tell the same in the same words about several objects are one node.
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
	slices.SortStableFunc(roots, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(weight(s, b), weight(s, a)),
			cmp.Compare(a.Check.ID, b.Check.ID), a.Subject.Compare(b.Subject))
	})
	return roots
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
// takes it: a symptom is told once.
func link(s *facts.Snapshot, nodes []*Node) map[*Node]bool {
	byCheck := map[*checks.Check][]*Node{}
	for _, n := range nodes {
		byCheck[n.Check] = append(byCheck[n.Check], n)
	}
	ground := grounds(s)
	explained := map[*Node]bool{}
	for _, n := range nodes {
		for _, check := range n.Check.Explains {
			for _, symptom := range byCheck[check] {
				if !explained[symptom] && bears(n, ground(symptom)) {
					n.Symptoms = append(n.Symptoms, symptom)
					explained[symptom] = true
				}
			}
		}
	}
	return explained
}

// grounds returns a function that says what a finding's objects stand on, computed
// once for each finding that is asked for.
func grounds(s *facts.Snapshot) func(*Node) map[facts.Ref]bool {
	known := map[*Node]map[facts.Ref]bool{}
	return func(n *Node) map[facts.Ref]bool {
		if known[n] == nil {
			all := map[facts.Ref]bool{}
			for _, r := range append([]facts.Ref{n.Subject}, n.Places...) {
				for under := range s.Under(r) {
					all[under] = true
				}
			}
			known[n] = all
		}
		return known[n]
	}
}

func bears(n *Node, ground map[facts.Ref]bool) bool {
	return ground[n.Subject] || slices.ContainsFunc(n.Places, func(r facts.Ref) bool { return ground[r] })
}

// merge makes one node of siblings with the same words, the further subjects becoming
// places and the gravest severity that of all, and does the same among their symptoms.
func merge(siblings []*Node) []*Node {
	type words struct {
		check           *checks.Check
		kind            string
		message, remedy string
	}
	first := map[words]*Node{}
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
		known.Severity = max(known.Severity, n.Severity)
		for _, r := range append([]facts.Ref{n.Subject}, n.Places...) {
			if r != known.Subject && !slices.Contains(known.Places, r) {
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
