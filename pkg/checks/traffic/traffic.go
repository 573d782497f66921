// Package traffic holds the checks of what pods reach: each other, the nodes, Services and
// nameservers, as far as pods that were made for it have tried. Whether names resolve is
// asked in package symptom, which these explain.
package traffic

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// shown is how many tries of one kind are quoted.
const shown = 4

// Checks lists the package's checks, causes before what they explain.
func Checks() []*checks.Check {
	return []*checks.Check{PodToPod, PodToNode, PodToKubelet, ServicePath, Hairpin, UpstreamDead}
}

// unless runs a check where policies do not explain what it would find.
func unless(run func(*facts.Snapshot) []checks.Finding) func(*facts.Snapshot) []checks.Finding {
	return func(s *facts.Snapshot) []checks.Finding {
		if tries.Held(s) != "" {
			return nil
		}
		return run(s)
	}
}

// untried returns a reason for parts where a node tried none of these.
func untried(why string, targets ...facts.TryTarget) func(*facts.Snapshot, string) string {
	return func(s *facts.Snapshot, node string) string {
		if len(tries.From(s, node, targets...)) == 0 {
			return why
		}
		return ""
	}
}

// zones returns a function that tells the zone of a node, or "".
func zones(s *facts.Snapshot) func(node string) string {
	return func(node string) string {
		if n := s.Node(node); n != nil {
			return n.Labels["topology.kubernetes.io/zone"]
		}
		return ""
	}
}

func mute(s *facts.Snapshot) func(node string) bool {
	return func(node string) bool { return tries.Mute(s, node) }
}

// agents names the plugin's pods on a node: what is wrong with them shows there.
func agents(s *facts.Snapshot, node string) []facts.Ref {
	var out []facts.Ref
	for _, p := range plugins.Agents(s) {
		if p.Node == node {
			out = append(out, p.Ref())
		}
	}
	return out
}

// refs names the nodes at both ends of some ways, each once.
func refs(ways []tries.Pair) []facts.Ref {
	var out []facts.Ref
	for _, p := range ways {
		out = append(out, facts.NodeRef(p.From), facts.NodeRef(p.To))
	}
	slices.SortFunc(out, facts.Ref.Compare)
	return slices.Compact(out)
}
