package netfilter

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// Kinds of host.ServiceRule.
const (
	kindCluster  = "cluster"
	kindExternal = "external"
	kindNodePort = "nodeport"
	kindInside   = "inside"
	kindReject   = "reject"
	kindDrop     = "drop"
)

// Services returns what kube-proxy's rules do, for what comes from pods: it follows the rules
// from PREROUTING to the addresses of endpoints.
func (s *Save) Services() []host.ServiceRule {
	var out []host.ServiceRule
	if nat := s.tables["nat"]; nat != nil {
		ways := resolver{nat.chains}
		reached := ways.from("PREROUTING")
		for _, name := range []string{kubeServices, kubeNodePorts} {
			if c := nat.chains[name]; c != nil {
				for _, f := range c.fronts {
					out = append(out, s.front(ways, f, name, reached[name])...)
				}
			}
		}
	}
	if filter := s.tables["filter"]; filter != nil {
		for _, name := range []string{kubeServices, kubeExternal} {
			if c := filter.chains[name]; c != nil {
				for _, f := range c.fronts {
					out = append(out, s.refused(f)...)
				}
			}
		}
	}
	return out
}

// front resolves a rule of the table nat.
func (s *Save) front(ways resolver, f front, chain string, reached bool) []host.ServiceRule {
	kind := kindCluster
	switch {
	case f.target == kubeMarkMasq:
		return nil
	case chain == kubeNodePorts && f.dst.Value != "":
		return nil // a second rule, which counts what comes over the loopback address
	case chain == kubeNodePorts:
		kind = kindNodePort
	case outsideChain(f.target), strings.HasPrefix(f.target, "KUBE-FW-"),
		strings.Contains(f.comment, "external IP"), strings.Contains(f.comment, "loadbalancer IP"):
		kind = kindExternal
	}
	place, ok := f.place()
	if !ok {
		return nil
	}
	rule := host.ServiceRule{Mode: s.mode, Proto: f.proto, Front: place, Kind: kind}
	return ways.rules(rule, f.target, reached)
}

// refused reads a rule of the table filter.
func (s *Save) refused(f front) []host.ServiceRule {
	kind := map[string]string{"REJECT": kindReject, "DROP": kindDrop}[f.target]
	place, ok := f.place()
	if kind == "" || !ok {
		return nil
	}
	return []host.ServiceRule{{Mode: s.mode, Proto: f.proto, Front: place, Kind: kind}}
}

// place returns the address and port, or the port of every node.
func (f front) place() (string, bool) {
	if f.dst.Value == "" {
		return "nodeport:" + strconv.Itoa(int(f.port)), true
	}
	prefix, err := netip.ParsePrefix(f.dst.Value)
	if err != nil || f.dst.Not || !prefix.IsSingleIP() {
		return "", false
	}
	return netip.AddrPortFrom(prefix.Addr(), f.port).String(), true
}

// outsideChain tells whether a chain is for addresses that are reached from outside: what
// asks there for the source is for pods and the node itself.
func outsideChain(name string) bool {
	return strings.HasPrefix(name, "KUBE-EXT-") || strings.HasPrefix(name, "KUBE-XLB-") || strings.HasPrefix(name, "external-")
}

// resolver follows rules through the chains of a table.
type resolver struct{ chains map[string]*chain }

// from returns the names of the chains that are reached, without those of single Services.
func (w resolver) from(start string) map[string]bool {
	seen := map[string]bool{}
	next := []string{start}
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		c := w.chains[name]
		if c == nil || seen[name] || singleService(name) {
			continue
		}
		seen[name] = true
		for _, way := range c.ways {
			next = append(next, way.to)
		}
	}
	return seen
}

// rules returns the lines for a front: one with the endpoints that what comes from outside
// reaches and, where what comes from inside is led elsewhere, one for that.
func (w resolver) rules(rule host.ServiceRule, chain string, reached bool) []host.ServiceRule {
	to := ends{outside: map[netip.AddrPort]bool{}, inside: map[netip.AddrPort]bool{}, seen: map[step]bool{}}
	if reached {
		w.follow(step{chain, false}, to)
	}
	rule.Endpoints = slices.SortedFunc(maps.Keys(to.outside), netip.AddrPort.Compare)
	out := []host.ServiceRule{rule}
	if len(to.inside) > 0 {
		rule.Kind, rule.Endpoints = kindInside, slices.SortedFunc(maps.Keys(to.inside), netip.AddrPort.Compare)
		out = append(out, rule)
	}
	return out
}

// ends are the endpoints that a front leads to.
type ends struct {
	outside, inside map[netip.AddrPort]bool
	seen            map[step]bool
}

// step is a chain on the way, and whether only what comes from inside gets there.
type step struct {
	chain  string
	inside bool
}

func (w resolver) follow(at step, to ends) {
	c := w.chains[at.chain]
	if c == nil || to.seen[at] {
		return
	}
	to.seen[at] = true
	for _, way := range c.ways {
		switch {
		case way.dnat.IsValid() && at.inside:
			to.inside[way.dnat] = true
		case way.dnat.IsValid():
			to.outside[way.dnat] = true
		case !way.sticky:
			w.follow(step{way.to, at.inside || way.inside && outsideChain(at.chain)}, to)
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
