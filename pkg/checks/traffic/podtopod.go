package traffic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// PodToPod finds pods that do not reach others, and tells on which ways.
var PodToPod = &checks.Check{
	ID:       "pod-to-pod-cross-node",
	Title:    "Pods reach pods on every node",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/#the-kubernetes-network-model",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Nodes, facts.Pods, facts.NetworkPolicies},
	Parts:    tries.Parts(unlinked),
	Explains: []*checks.Check{symptom.DNSProbeCluster},
	ByHand: []string{"kubectl run a --rm -it --restart=Never --image=busybox:1.36 --overrides='{\"spec\":{\"nodeName\":\"NODE\"}}' -- nc -zvw3 ADDRESS PORT # of a pod on another node",
		"tcpdump -ni any # on the node, while pods try", "ip route; bridge fdb show; iptables -S FORWARD; nft list ruleset # on the node"},
	Run: unless(findPodToPod),
	Doc: `A pod on each of some nodes tried to reach the pods on the others, and the one beside it: with a small packet over UDP, and with 64 KiB over
a TCP connection, three times each. Which ways fail tells what to look at.

**Between all nodes**: what carries pods' packets between the machines is missing. That is an overlay whose port is blocked
(**overlay-port-blocked** names it), or, without an overlay, the routes to the nodes' pod ranges, or a cloud that drops packets whose
source is not the machine's own (source/destination check on AWS, canIpForward on GCP). **One node, both ways**: its
firewall, its forwarding (net.ipv4.ip_forward, a chain or policy that drops), its plugin's agent. **One way only**: a firewall that lets
answers through but no new connections. **On the node itself**: its bridge or its forwarding rules. **UDP alone or TCP alone**: a rule
for one protocol. **Connections that stall** once they carry data, while the largest packets come through: broken checksums of an
interface that computes them itself (` + "`ethtool -K flannel.1 tx-checksum-ip-generic off`" + `). Where only large packets are lost, that is **mtu-mismatch**.

NetworkPolicies of namespace ` + facts.ProbeNamespace + `, where those pods are, and policies of a plugin's own kinds may forbid what
was tried: then nothing is known.

**Cure**: that of the place. ` + "`kubectl netdoctor check --depth host`" + ` looks at forwarding, rules and routes of the nodes.`,
}

// unlinked says that a node's pod neither tried one on another node, where there is one, nor
// was tried.
func unlinked(s *facts.Snapshot, node string) string {
	alone := len(s.LinuxNodes()) == 1
	for p := range tries.Links(s) {
		if (p.From != p.To || alone) && (p.From == node || p.To == node) {
			return ""
		}
	}
	return "no pod on another node was there to be tried"
}

func findPodToPod(s *facts.Snapshot) []checks.Finding {
	links := tries.Links(s)
	v := view{s, links}
	var out []checks.Finding
	for _, trouble := range tries.Troubles() {
		m := tries.MapOf(links, trouble)
		alone := m.Local()
		for _, f := range m.Locate(mute(s), zones(s)) {
			if trouble == tries.Stalls {
				f.Pairs = slices.DeleteFunc(f.Pairs, func(p tries.Pair) bool { return tooLarge(links, p) })
			}
			if len(f.Pairs) == 0 {
				continue // mtu-mismatch tells of them
			}
			local := v.localTo(f, alone)
			alone = slices.DeleteFunc(alone, func(node string) bool { return slices.Contains(local, node) })
			out = append(out, v.finding(f, trouble, local))
		}
		for _, node := range alone {
			out = append(out, v.within(node, trouble))
		}
	}
	return out
}

// view is what pods tried of each other.
type view struct {
	*facts.Snapshot
	links map[tries.Pair]*tries.Link
}

// localTo returns the nodes of a fault whose pods do not even reach those beside them.
func (v view) localTo(f tries.Fault, alone []string) []string {
	switch f.Place {
	case tries.Everywhere:
		if len(alone) == len(refs(f.Pairs)) {
			return slices.Clone(alone)
		}
	case tries.Around, tries.In:
		if slices.Contains(alone, f.Node) {
			return []string{f.Node}
		}
	}
	return nil
}

func (v view) finding(f tries.Fault, trouble tries.Trouble, local []string) checks.Finding {
	out := checks.Finding{Subject: facts.Cluster(), Message: message(f, trouble, len(local) > 0), Remedy: v.remedy(f, trouble)}
	if f.Node != "" {
		out.Subject, out.Places = facts.NodeRef(f.Node), agents(v.Snapshot, f.Node)
	} else {
		if node, _ := end(f); node != "" {
			out.Subject = facts.NodeRef(node)
		}
		out.Places = refs(f.Pairs)
		if len(out.Places) == 2 {
			for _, node := range out.Places {
				out.Places = append(out.Places, agents(v.Snapshot, node.Name)...)
			}
		}
	}
	ways := slices.Clone(f.Pairs)
	for _, node := range local {
		ways = append(ways, tries.Pair{From: node, To: node})
	}
	out.Evidence = v.quotes(spread(ways), trouble)
	return out
}

// end returns the node at which all ways of a fault end, or else begin, where nothing more is
// known than that these fail: what keeps new packets out mostly stands where they come in.
func end(f tries.Fault) (node string, in bool) {
	if f.Place != tries.Between {
		return "", false
	}
	to, from := f.Pairs[0].To, f.Pairs[0].From
	switch {
	case !slices.ContainsFunc(f.Pairs, func(p tries.Pair) bool { return p.To != to }):
		return to, true
	case !slices.ContainsFunc(f.Pairs, func(p tries.Pair) bool { return p.From != from }):
		return from, false
	}
	return "", false
}

// within tells of a node whose pods reach others, or nobody knows, but not those beside them.
func (v view) within(node string, trouble tries.Trouble) checks.Finding {
	return checks.Finding{
		Subject: facts.NodeRef(node), Message: withinWords(trouble), Places: agents(v.Snapshot, node),
		Evidence: v.quotes([]tries.Pair{{From: node, To: node}}, trouble),
		Remedy: fmt.Sprintf("Look on %s at the plugin's bridge or interfaces, at iptables -S FORWARD and nft list ruleset: a rule there drops what pods of the node send each other.",
			node) + tries.Rulers(v.Snapshot),
	}
}

// spread puts the ways of different nodes first, so that the few that are quoted tell most.
func spread(ways []tries.Pair) []tries.Pair {
	var first, rest []tries.Pair
	seen := map[string]bool{}
	for _, p := range ways {
		if seen[p.From] {
			rest = append(rest, p)
		} else {
			first = append(first, p)
		}
		seen[p.From] = true
	}
	return append(first, rest...)
}

// quotes tells of a few ways what was tried on them, and of what works beside them.
func (v view) quotes(ways []tries.Pair, trouble tries.Trouble) []checks.Evidence {
	var out []checks.Evidence
	for _, p := range ways[:min(len(ways), shown)] {
		out = append(out, tries.Quotes(v.links[p].Bad(), 1)...)
	}
	p := ways[0]
	if trouble != tries.Dead {
		return append(out, tries.Quotes(v.links[p].Works(), 1)...)
	}
	for _, beside := range []tries.Pair{{From: p.To, To: p.From}, {From: p.From, To: p.From}} {
		if l := v.links[beside]; l != nil && l.Trouble() == 0 {
			out = append(out, tries.Quotes(l.Works(), 1)...)
		}
	}
	return append(out, v.machine(p)...)
}

// machine quotes that pods reach the machine at the end of a way, or another one.
func (v view) machine(p tries.Pair) []checks.Evidence {
	reached := slices.DeleteFunc(tries.From(v.Snapshot, p.From, facts.TargetNode, facts.TargetAPIServer), func(t facts.Try) bool { return t.Dead() || t.ToNode == p.From })
	if i := slices.IndexFunc(reached, func(t facts.Try) bool { return t.ToNode == p.To }); i > 0 {
		reached = reached[i:]
	}
	return tries.Quotes(reached, 1)
}

// list names the first ways.
func list(ways []tries.Pair) string {
	var out []string
	for _, p := range ways[:min(len(ways), 3)] {
		out = append(out, p.String())
	}
	text := strings.Join(out, ", ")
	if more := len(ways) - len(out); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
