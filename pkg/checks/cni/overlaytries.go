package cni

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// overlayParts names what each node was to try, where pods were sent. Where they do not reach
// each other and it is not certain why, nothing is known of what carries their packets.
func overlayParts(s *facts.Snapshot) []checks.Part {
	if s.Depth < facts.Probe || s.Unheard[facts.Tries.Name] {
		return nil
	}
	apart := map[string]bool{}
	if len(overlayDead(s)) == 0 {
		for p, l := range tries.Links(s) {
			if p.From != p.To && l.Trouble() == tries.Dead {
				apart[p.From], apart[p.To] = true, true
			}
		}
	}
	return tries.Parts(func(_ *facts.Snapshot, node string) string {
		if apart[node] {
			return "its pods and those on another node do not reach each other, and it is not certain that a port is why"
		}
		return ""
	})(s)
}

// overlayDead finds where the packets that carry those of pods do not come through: pods reach
// those beside them and the machines of the others, but not the pods there.
func overlayDead(s *facts.Snapshot) []checks.Finding {
	if tries.Held(s) != "" {
		return nil
	}
	links := tries.Links(s)
	mute := func(n string) bool { return tries.Mute(s, n) }
	zone := func(string) string { return "" }
	var out []checks.Finding
	for _, f := range tries.MapOf(links, tries.Dead).Locate(mute, zone) {
		if !onlyBetween(s, links, f.Pairs) {
			continue
		}
		nodes := ends(s, f.Pairs)
		if len(nodes) == 0 || otherCause(s, nodes) {
			continue
		}
		if t := tunnelBetween(s, nodes); t != nil && !t.bypassed(s, links, f.Pairs) {
			out = append(out, t.blocked(s, links, f))
		}
	}
	return out
}

// onlyBetween tells whether it is the way between the nodes alone that fails: pods reach those
// beside them, and each other's machines. It fails both ways, since a tunnel that is blocked
// one way carries no answers either.
func onlyBetween(s *facts.Snapshot, links map[tries.Pair]*tries.Link, ways []tries.Pair) bool {
	for _, p := range ways {
		own, back := links[tries.Pair{From: p.From, To: p.From}], links[tries.Pair{From: p.To, To: p.From}]
		if own == nil || own.Trouble() != 0 || back == nil || back.Trouble() != tries.Dead {
			return false
		}
		machine := kubelet(s, p)
		if machine.Sent == 0 || !tries.Reached(machine) {
			return false
		}
	}
	return true
}

// kubelet returns what a pod tried of the machine at the end of a way.
func kubelet(s *facts.Snapshot, p tries.Pair) facts.Try {
	for _, t := range tries.From(s, p.From, facts.TargetNode) {
		if t.ToNode == p.To {
			return t
		}
	}
	return facts.Try{}
}

// ends returns the nodes of some ways, each once; none where one of them is not known.
func ends(s *facts.Snapshot, ways []tries.Pair) []*corev1.Node {
	var out []*corev1.Node
	for _, p := range ways {
		for _, name := range []string{p.From, p.To} {
			n := s.Node(name)
			if n == nil {
				return nil
			}
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// otherCause tells whether something else is known to keep the pods of these nodes apart: an
// agent that is not Ready, or addresses that lead to the wrong node.
func otherCause(s *facts.Snapshot, nodes []*corev1.Node) bool {
	for _, p := range plugins.Agents(s) {
		if !p.Ready && slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return n.Name == p.Node }) {
			return true
		}
	}
	return slices.ContainsFunc(checks.Run(s, []*checks.Check{node.FlannelPublicIP, node.PodCIDROverlap}), func(r checks.Result) bool { return r.Status == checks.Failed })
}

// bypassed tells whether a pod that tried has an address which is none of its node's range: it
// was connected by something else than the plugin, and no tunnel leads to it.
func (t *tunnel) bypassed(s *facts.Snapshot, links map[tries.Pair]*tries.Link, ways []tries.Pair) bool {
	for _, p := range ways {
		n := s.Node(p.To)
		if !t.plugin.UsesPodCIDR || !ranged(t.plugin, n) {
			continue
		}
		for _, tried := range links[p].Bad() {
			to, err := netip.ParseAddrPort(tried.To)
			ranges := slices.DeleteFunc(facts.PodRanges(n), func(r netip.Prefix) bool { return r.Addr().Is4() != to.Addr().Is4() })
			if err == nil && len(ranges) > 0 && !slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(to.Addr()) }) {
				return true
			}
		}
	}
	return false
}

func (t *tunnel) blocked(s *facts.Snapshot, links map[tries.Pair]*tries.Link, f tries.Fault) checks.Finding {
	carries := fmt.Sprintf("%s (%s of %s)", t.opening(), t.kind, t.plugin.Name)
	out := checks.Finding{
		Subject: facts.Cluster(), Message: "drops what nodes send each other for their pods: " + carries + " does not come through",
		Remedy: fmt.Sprintf("Let %s through between all nodes, in both directions: in the firewall of the machines (iptables -S INPUT; nft list ruleset), the security groups of the cloud "+
			"and what else is between.", t.opening()) + tries.Rulers(s),
	}
	switch f.Place {
	case tries.Around:
		out.Subject = facts.NodeRef(f.Node)
		out.Message = "is cut off from what nodes send each other for their pods: " + carries + " does not come through"
	case tries.Between, tries.Zones:
		out.Message = "drops what some nodes send each other for their pods: " + carries + " does not come through " + f.Pairs[0].String()
		if more := len(f.Pairs) - 1; more > 0 {
			out.Message += fmt.Sprintf(" and %d more", more)
		}
	}
	way := f.Pairs[0]
	out.Evidence = append(tries.Quotes(links[way].Bad(), 2), tries.Quotes(links[tries.Pair{From: way.From, To: way.From}].Works(), 1)...)
	out.Evidence = append(out.Evidence, tries.Quote(kubelet(s, way)), t.quote)
	return out
}
