package netfilter

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// Maps of kube-proxy's tables, from pkg/proxy/nftables of Kubernetes.
const (
	serviceIPs       = "service-ips"
	serviceNodePorts = "service-nodeports"
	noEndpoints      = "no-endpoint-services"
	noEndpointPorts  = "no-endpoint-nodeports"
)

// proxied makes ready for the rules of kube-proxy's table.
func (t *nftTable) proxied() {
	t.proxy.chains = map[string]*chain{}
	for name := range t.chains {
		t.proxy.chains[name] = &chain{name: name}
	}
	for _, set := range []string{serviceIPs, serviceNodePorts, noEndpoints, noEndpointPorts} {
		t.sets[set] = nil
	}
}

// proxyRule takes a rule of kube-proxy's table. Chains of single Services have a slash in
// their names.
func (t *nftTable) proxyRule(name string, r *Rule) {
	c := t.proxy.chains[name]
	if c == nil {
		return
	}
	w := way{dnat: r.DNAT, inside: r.inside, sticky: r.sticky}
	if r.Chain {
		w.to = r.jump
	}
	if w.to != "" || w.dnat.IsValid() {
		c.ways = append(c.ways, w)
	}
	for _, set := range []string{r.verdicts, r.natMap} {
		if set != "" {
			c.maps = append(c.maps, set)
			t.sets[set] = nil
		}
	}
}

// Services returns what kube-proxy's tables do, for what comes from pods.
func (n *NFT) Services() []host.ServiceRule {
	out := append(n.V4.Services(), n.V6.Services()...)
	for _, family := range []byte{familyIPv4, familyIPv6} {
		if t := n.tables[family]["kube-proxy"]; t != nil && t.keeper == keeperKubeProxy {
			t.join()
			out = append(out, t.services()...)
		}
	}
	return out
}

// join adds to the chains of single Services where the elements of their maps lead to.
func (t *nftTable) join() {
	for _, c := range t.proxy.chains {
		if !strings.Contains(c.name, "/") {
			continue
		}
		for _, set := range c.maps {
			for _, e := range t.sets[set] {
				if e.verdict.chain != "" {
					c.ways = append(c.ways, way{to: e.verdict.chain})
				} else if to, ok := endpoint(e.value); ok {
					c.ways = append(c.ways, way{dnat: to})
				}
			}
		}
	}
}

func (t *nftTable) services() []host.ServiceRule {
	asked := t.asked()
	var out []host.ServiceRule
	for _, set := range []string{serviceIPs, serviceNodePorts} {
		for _, e := range t.sets[set] {
			rule, ok := frontOf(e.key)
			switch {
			case !ok || e.verdict.chain == "":
				continue
			case set == serviceNodePorts:
				rule.Kind = kindNodePort
			case outsideChain(e.verdict.chain):
				rule.Kind = kindExternal
			default:
				rule.Kind = kindCluster
			}
			out = append(out, t.proxy.rules(rule, e.verdict.chain, asked[set])...)
		}
	}
	for _, set := range []string{noEndpoints, noEndpointPorts} {
		for _, e := range t.sets[set] {
			rule, ok := frontOf(e.key)
			if rule.Kind = kindDrop; e.verdict.chain != "" {
				rule.Kind = kindReject
			}
			if ok && e.verdict.set {
				out = append(out, rule)
			}
		}
	}
	return out
}

// asked returns the maps that what comes from pods is looked up in.
func (t *nftTable) asked() map[string]bool {
	out := map[string]bool{}
	for _, c := range t.chains {
		if !c.base || c.kind != "nat" || hookName(t.family, c.hook) != "prerouting" {
			continue
		}
		for name := range t.proxy.from(c.name) {
			for _, set := range t.proxy.chains[name].maps {
				out[set] = true
			}
		}
	}
	return out
}

// frontOf reads the key of a map of kube-proxy's: address, protocol and port, or the last
// two; each takes four bytes or a multiple of them.
func frontOf(key []byte) (host.ServiceRule, bool) {
	at := len(key) - 8
	if at != 0 && at != 4 && at != 16 {
		return host.ServiceRule{}, false
	}
	port := binary.BigEndian.Uint16(key[at+4:])
	rule := host.ServiceRule{Mode: "nftables", Proto: protoName(key[at]), Front: "nodeport:" + strconv.Itoa(int(port))}
	if ip, ok := netip.AddrFromSlice(key[:at]); ok {
		rule.Front = netip.AddrPortFrom(ip, port).String()
	}
	return rule, true
}

// endpoint reads a value of a map: address and port.
func endpoint(value []byte) (netip.AddrPort, bool) {
	at := len(value) - 4
	if at != 4 && at != 16 {
		return netip.AddrPort{}, false
	}
	ip, ok := netip.AddrFromSlice(value[:at])
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(value[at:])), ok
}
