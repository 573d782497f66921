package node

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// outlet is an interface by which packets leave for pods of another node, and one of the
// nodes to which they do.
type outlet struct {
	dev  string
	peer *corev1.Node
}

// tunnelsFrom returns the tunnels by which packets go to pods of any other node: a plugin may
// send to nodes of the same network without one.
func (w ways) tunnelsFrom(node string, to way, links []host.Link, routes []host.Route) []outlet {
	var out []outlet
	for _, r := range routes {
		for _, name := range r.Devs {
			l := host.LinkNamed(links, name)
			known := slices.ContainsFunc(out, func(o outlet) bool { return o.dev == name })
			if r.To.Bits() == 0 || l == nil || overhead(l.Kind) == 0 || r.To.Overlaps(to.own) || known {
				continue
			}
			behind := func(n *corev1.Node) bool {
				return n.Name != node && slices.ContainsFunc(w.pods[n.Name], r.To.Overlaps)
			}
			if i := slices.IndexFunc(w.nodes, behind); i >= 0 {
				out = append(out, outlet{name, w.nodes[i]})
			}
		}
	}
	return out
}

// podLinks returns those of some interfaces, and of the ports of bridges among them, by which
// pods hang on the node. A bridge without a port has the kernel's usual MTU, whatever its pods
// had.
func podLinks(links []host.Link, names []string) []host.Link {
	var out []host.Link
	for _, l := range links {
		carries := l.Kind == "veth" || l.Kind == "bridge" && slices.ContainsFunc(links, func(port host.Link) bool { return port.Master == l.Name })
		if carries && (slices.Contains(names, l.Name) || slices.Contains(names, l.Master)) {
			out = append(out, l)
		}
	}
	return out
}

// below returns the interface that a tunnel sends by, and how many bytes it adds. WireGuard and
// tunl0 are told neither an interface nor an address of their own: theirs is the one by which
// the peer's address is reached, and only where that is not known the one of the default
// route. They send over IPv4 where the peer has an address of it.
func below(tunnel host.Link, peer *corev1.Node, links []host.Link, routes []host.Route) (host.Link, int) {
	over := overhead(tunnel.Kind)
	if over == 0 {
		return host.Link{}, 0
	}
	names := []string{tunnel.Under}
	for _, l := range links {
		if tunnel.Local.IsValid() && slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return p.Addr() == tunnel.Local }) {
			names = append(names, l.Name)
		}
	}
	end := endOf(tunnel, peer)
	if end.Is6() {
		over += 20
	}
	for _, ip := range []netip.Addr{end, netip.IPv4Unspecified()} {
		if ip.IsValid() {
			names = append(names, host.DevsTo(routes, netip.PrefixFrom(ip, ip.BitLen()))...)
		}
	}
	for _, name := range names {
		if l := host.LinkNamed(links, name); l != nil && l.Name != tunnel.Name && l.MTU > 0 {
			return *l, over
		}
	}
	return host.Link{}, 0
}

// endOf returns the address to which a tunnel sends for a node: the first in the family of the
// tunnel's own address, or in IPv4 where it has none, or the zero Addr. WireGuard alone goes
// over IPv6 without telling so.
func endOf(tunnel host.Link, peer *corev1.Node) netip.Addr {
	if peer == nil {
		return tunnel.Local
	}
	ends := addressesOf(peer, corev1.NodeInternalIP)
	for _, six := range []bool{tunnel.Local.Is6(), tunnel.Local.Is6() || !tunnel.Local.IsValid() && tunnel.Kind == "wireguard"} {
		if i := slices.IndexFunc(ends, func(ip netip.Addr) bool { return ip.Is6() == six }); i >= 0 {
			return ends[i]
		}
	}
	return tunnel.Local
}

// overhead returns how many bytes a kind of tunnel adds over IPv4, or 0 for what is none.
func overhead(kind string) int {
	return map[string]int{"vxlan": 50, "geneve": 50, "ipip": 20, "sit": 20, "gre": 24, "wireguard": 60}[kind]
}
