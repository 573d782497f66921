package traffic

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// Narrow is where packets between nodes may not be as large as pods send them: between all
// nodes, around one, on some ways.
type Narrow struct {
	checks.Finding
	Nodes []string // at whose ends it is
}

// SizeParts names what each node was to try, where there is another one, as parts that must
// be known for NarrowWays.
func SizeParts(s *facts.Snapshot) []checks.Part {
	if len(s.LinuxNodes()) == 1 {
		return nil
	}
	return tries.Parts(unmeasured)(s)
}

// unmeasured says that a node's pod could not compare.
func unmeasured(s *facts.Snapshot, node string) string {
	links := tries.Links(s)
	for p := range links {
		if p.From == node && p.To != node && sized(links, p) {
			return ""
		}
	}
	return "no packet that its pod sent over UDP came through to another node, so no size is known"
}

// sized tells whether the largest packet is known for a way and for the node that it begins on.
func sized(links map[tries.Pair]*tries.Link, p tries.Pair) bool {
	own := links[tries.Pair{From: p.From, To: p.From}]
	return links[p] != nil && links[p].MTU.Size > 0 && own != nil && own.MTU.Size > 0
}

// tooLarge tells whether pods send larger packets than a way takes.
func tooLarge(links map[tries.Pair]*tries.Link, p tries.Pair) bool {
	return sized(links, p) && links[p].MTU.Size < links[tries.Pair{From: p.From, To: p.From}].MTU.Size
}

// NarrowWays tells on which ways between nodes the largest packet that came through unbroken is
// smaller than the largest that pods send: those come through to the pod beside them. It is a
// warning, and an error where connections stall. It reads Tries, Nodes, Pods and NetworkPolicies.
func NarrowWays(s *facts.Snapshot) []Narrow {
	if tries.Held(s) != "" {
		return nil
	}
	links := tries.Links(s)
	m := tries.Map{}
	for p := range links {
		if p.From != p.To && sized(links, p) {
			m[p] = tooLarge(links, p)
		}
	}
	var out []Narrow
	for _, f := range m.Locate(func(string) bool { return false }, zones(s)) {
		n := Narrow{Finding: narrow(s, links, f)}
		for _, ref := range refs(f.Pairs) {
			if f.Node == "" || f.Node == ref.Name {
				n.Nodes = append(n.Nodes, ref.Name)
			}
		}
		out = append(out, n)
	}
	return out
}

// narrow tells of one place.
func narrow(s *facts.Snapshot, links map[tries.Pair]*tries.Link, f tries.Fault) checks.Finding {
	smallest := slices.MinFunc(f.Pairs, func(a, b tries.Pair) int { return cmp.Compare(links[a].MTU.Size, links[b].MTU.Size) })
	way, own := links[smallest].MTU, links[tries.Pair{From: smallest.From, To: smallest.From}].MTU
	through, sent := way.Size+tries.Overhead(way), own.Size+tries.Overhead(own)
	out := checks.Finding{Subject: facts.Cluster(), Severity: checks.Warning, Message: narrowWords(f, through, sent), Places: refs(f.Pairs)}
	if f.Node != "" {
		out.Subject, out.Places = facts.NodeRef(f.Node), nil
	}
	for _, p := range spread(f.Pairs)[:min(len(f.Pairs), shown)] {
		out.Evidence = append(out.Evidence, tries.Quote(links[p].MTU))
	}
	out.Evidence = append(out.Evidence, tries.Quote(own))
	if i := slices.IndexFunc(f.Pairs, func(p tries.Pair) bool { return tries.Stalled(links[p].TCP) }); i >= 0 {
		out.Severity = checks.Error
		out.Message += ", and connections stall"
		out.Evidence = append(out.Evidence, tries.Quote(links[f.Pairs[i]].TCP))
	}
	out.Remedy = fmt.Sprintf("Give pods an MTU of %d at most, or make the way between the nodes take %d: %s", through, sent, mtuOf(s))
	if what := adds(sent - through); what != "" && (f.Place == tries.Everywhere || f.Place == tries.Zones) {
		out.Remedy = fmt.Sprintf("The difference, %d bytes, is what %s adds to each packet. %s", sent-through, what, out.Remedy)
	}
	return out
}

func narrowWords(f tries.Fault, through, sent int) string {
	sizes := fmt.Sprintf("of %d bytes come through whole, while pods send up to %d", through, sent)
	switch f.Place {
	case tries.Everywhere:
		return "loses large packets between nodes: those " + sizes
	case tries.Around:
		return "loses large packets to and from other nodes: those " + sizes
	case tries.Out:
		return "loses large packets from its pods to other nodes: those " + sizes
	case tries.In:
		return "loses large packets from other nodes to its pods: those " + sizes
	case tries.Zones:
		return "loses large packets between zones: those " + sizes
	}
	return fmt.Sprintf("loses large packets on some ways between nodes, %s: those %s", list(f.Pairs), sizes)
}

// adds names what makes packets larger by so many bytes.
func adds(bytes int) string {
	return map[int]string{50: "VXLAN or Geneve", 70: "VXLAN over IPv6", 20: "IP-in-IP", 60: "WireGuard", 80: "WireGuard over IPv6", 8: "PPPoE"}[bytes]
}

// mtuOf says where the plugins of the cluster are told the pods' MTU.
func mtuOf(s *facts.Snapshot) string {
	known := map[string]string{
		"flannel": "Flannel takes it from its interface when it starts (FLANNEL_MTU in /run/flannel/subnet.env)",
		"canal":   "veth_mtu in ConfigMap canal-config",
		"calico":  "veth_mtu in ConfigMap calico-config, or spec.calicoNetwork.mtu of the operator's Installation",
		"cilium":  "mtu in ConfigMap cilium-config (MTU in its Helm chart)",
		"antrea":  "defaultMTU in ConfigMap antrea-config",
		"weave":   "WEAVE_MTU of DaemonSet weave-net",
	}
	found := map[string]bool{}
	for _, p := range plugins.Agents(s) {
		if text := known[plugins.Agent(p).ID]; text != "" {
			found[text] = true
		}
	}
	text := strings.Join(slices.Sorted(maps.Keys(found)), "; ")
	if text == "" {
		text = "see where the network plugin is told it"
	}
	return text + ". Then restart its agents, and the pods, which keep what they started with."
}
