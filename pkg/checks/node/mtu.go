package node

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// MTUMismatch finds nodes that send or get larger packets of pods than their interfaces, or what is
// between them, take.
var MTUMismatch = &checks.Check{
	ID:       "mtu-mismatch",
	Title:    "The largest packets of pods get from node to node",
	Severity: checks.Error,
	URL:      "https://docs.tigera.io/calico/latest/networking/configuring/mtu",
	Needs:    []*facts.Source{facts.Nodes},
	MayUse:   []*facts.Source{facts.Tries, facts.Files, facts.Pods, facts.DaemonSets, facts.NetworkPolicies},
	Parts:    sizeParts,
	When:     sizesUnseen,
	ByHand: []string{"ip -details link | grep -E 'mtu|vxlan|ipip|wireguard|geneve' # on each node", "ip route # on each node: by which interface to the other nodes' pods",
		"ping -M do -s 1422 ADDRESS # from a pod to one of another node: what fits into 1450 bytes"},
	Run: findSizes,
	Doc: `An interface takes packets up to its MTU. What pods send to other nodes gets another header around it in an overlay: 50 bytes for
VXLAN and Geneve (70 over IPv6), 20 for IP-in-IP, 60 for WireGuard (80 over IPv6). So the overlay's interface must be that much
smaller than the network interface below it. If it is not, small requests work and large ones hang: TLS handshakes, image pulls,
large answers of DNS.

**An overlay that is too large** is an error: the node's network interface does not take the packets which other nodes send it at
that size. What the node itself sends is broken up, which many clouds' networks then drop.
**Overlays of different sizes** are a warning: TCP agrees on the smaller size, UDP and what passes a proxy does not.
**Pods that send larger packets than leave the node** are a warning, and so is Flannel's file with the MTU for new ones: the node tells
them by ICMP to send smaller packets, which costs each connection a moment and fails where ICMP is filtered.

That much the interfaces tell, at --depth host; those of Cilium, Antrea and OVN-Kubernetes get their headers packet by packet and are left out: their routes hold the
sizes. **What comes through** is tried at --depth probe, whatever the plugin: pods send each other packets that no router may break up, of falling size. A
finding says how large the largest was that came to another node, where larger ones came to the pod beside: a warning, since routers say
that a packet is too large (ICMP type 3 code 4), and TCP then sends smaller ones. If connections stall with 64 KiB, nobody says so, and it is an error.

**How it comes about**: the MTU of the network interface was changed, or was another one when the plugin's agent started, which
measures it only then; one node hangs on a network with jumbo frames, or behind a VPN; the MTU was fixed in the plugin's
configuration for all nodes; an encryption was turned on later; a way between the machines takes less than their interfaces do (a VPN, a
peering, a switch without jumbo frames).

**Cure**: give the network interfaces of all nodes the same MTU, or the plugin one that fits the smallest (Flannel: MTU of the
Backend in net-conf.json; Calico: mtu of the Installation, or veth_mtu in ConfigMap calico-config), restart its agents, and
re-create the pods, which keep the MTU that they started with.`,
}

// mtus is how large packets can be on a node's way to other nodes' pods.
type mtus struct {
	node string
	out  host.Link // the interface by which they leave: of several the smallest
	base host.Link // what a tunnel sends by; without a name where out is none, or it is not known
	over int       // what the tunnel adds
	pods host.Link // the pods' interface with the largest MTU
}

func mtuParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	w := waysOf(s)
	names := []string{host.AddrFile, host.RouteFile}
	if noFlannel(s) == "" {
		names = append(names, host.FlannelFile)
	}
	for _, n := range w.nodes {
		if len(w.pods[n.Name]) == 0 {
			out = append(out, checks.Files(s, n.Name)...)
			out = append(out, w.unplaced(s, n.Name)...)
			continue
		}
		out = append(out, checks.Files(s, n.Name, names...)...)
		out = append(out, garbled(host.Of(s, n.Name))...)
	}
	return out
}

func findMTU(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	var fit []mtus
	w := waysOf(s)
	for _, n := range w.nodes {
		v := host.Of(s, n.Name)
		links, _ := v.Links()
		routes, _ := v.Routes()
		for i, way := range w.from(n.Name) {
			m := mtus{node: n.Name}
			switch known := m.measure(w, way, v.Flannel(host.FlannelFile).MTU, links, routes); {
			case !known:
			case m.base.Name != "" && m.out.MTU > m.base.MTU-m.over:
				out = append(out, m.tooLarge())
			case i == 0: // pods have one size for both families
				fit = append(fit, m)
				if m.pods.MTU > m.out.MTU {
					out = append(out, m.podsLarger())
				}
			}
		}
	}
	return append(out, different(fit)...)
}

// measure finds out how packets of one family leave for pods of other nodes, and tells
// whether it could. What is given is the MTU that Flannel makes pods with, or 0.
func (m *mtus) measure(w ways, to way, given int, links []host.Link, routes []host.Route) bool {
	if to.own == to.other {
		return false
	}
	outs := w.tunnelsFrom(m.node, to, links, routes)
	if len(outs) == 0 {
		for _, name := range host.DevsTo(routes, to.other) {
			outs = append(outs, outlet{name, to.peer})
		}
	}
	for _, o := range outs {
		l := host.LinkNamed(links, o.dev)
		if l == nil || l.MTU <= 0 || l.External || !l.Up {
			return false
		}
		if m.out.Name == "" || l.MTU < m.out.MTU {
			m.out = *l
			m.base, m.over = below(*l, o.peer, links, routes)
		}
	}
	for _, l := range podLinks(links, host.DevsTo(routes, to.own)) {
		if l.MTU > m.pods.MTU {
			m.pods = l
		}
	}
	if given > m.pods.MTU {
		m.pods = host.Link{Name: host.FlannelFile, MTU: given}
	}
	return m.out.Name != ""
}

func (m mtus) tooLarge() checks.Finding {
	return checks.Finding{
		Subject:  facts.NodeRef(m.node),
		Message:  fmt.Sprintf("loses large packets of pods: its overlay (%s) is too large for its network interface", m.out.Name),
		Evidence: []checks.Evidence{m.quote(m.out), m.quote(m.base), checks.Quote(m.out.Kind, fmt.Sprintf("adds %d bytes to each packet: %d are left", m.over, m.base.MTU-m.over))},
		Remedy: fmt.Sprintf("Give %s of this node an MTU of %d or more, or the network plugin one of %d or less on all nodes; then restart its agent on this node and re-create the pods.",
			m.base.Name, m.out.MTU+m.over, m.base.MTU-m.over),
	}
}

func (m mtus) podsLarger() checks.Finding {
	return checks.Finding{
		Subject:  facts.NodeRef(m.node),
		Severity: checks.Warning,
		Message:  "lets its pods send larger packets than it can pass on: they depend on being told so by ICMP",
		Evidence: []checks.Evidence{m.quote(m.pods), m.quote(m.out)},
		Remedy:   "Set the MTU in the network plugin's configuration to what leaves the node, restart its agent and re-create the pods.",
	}
}

func (m mtus) quote(l host.Link) checks.Evidence {
	if l.Name == host.FlannelFile {
		return checks.QuoteFile(m.node, host.FlannelFile, fmt.Sprintf("FLANNEL_MTU=%d", l.MTU))
	}
	return checks.Quote("Node "+m.node+", ip link", strings.TrimSpace(fmt.Sprintf("%s mtu %d %s", l.Name, l.MTU, l.Kind)))
}

// size is how large the packets are that pods send, 0 where that is not known.
func (m mtus) size() int {
	switch {
	case m.pods.Name != "":
		return min(m.pods.MTU, m.out.MTU)
	case m.base.Name != "":
		return m.out.MTU
	}
	return 0
}

// different finds nodes whose pods send packets of another size than those of most: of two
// sizes that are as frequent, the smaller.
func different(all []mtus) []checks.Finding {
	count := map[int]int{}
	all = slices.DeleteFunc(all, func(m mtus) bool { return m.size() == 0 })
	for _, m := range all {
		count[m.size()]++
	}
	if len(count) < 2 {
		return nil
	}
	usual := slices.MaxFunc(all, func(a, b mtus) int {
		return cmp.Or(cmp.Compare(count[a.size()], count[b.size()]), cmp.Compare(a.size(), b.size()))
	})
	var out []checks.Finding
	for _, m := range all {
		if m.size() == usual.size() {
			continue
		}
		f := checks.Finding{
			Subject:  facts.NodeRef(m.node),
			Severity: checks.Warning,
			Message:  "passes on packets of pods at another size than most nodes do",
			Evidence: []checks.Evidence{m.quote(m.out), usual.quote(usual.out)},
			Remedy:   "Give the network interfaces of all nodes the same MTU, or the network plugin one that fits the smallest; then restart its agents and re-create the pods.",
		}
		for _, l := range []host.Link{m.base, m.pods} {
			if l.Name != "" {
				f.Evidence = append(f.Evidence, m.quote(l))
			}
		}
		out = append(out, f)
	}
	return out
}
