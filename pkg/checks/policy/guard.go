package policy

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// blockedIn judges the pods of all namespaces by the policies that select the DNS pods.
// Where a cache asks in their place they do not come to these.
func (w *world) blockedIn() []checks.Finding {
	guards := w.guards()
	if guards == nil || w.cached {
		return nil
	}
	shutOut := map[fault]map[string]int{}
	for _, p := range w.Pods {
		if !w.client(p) {
			continue
		}
		if f := judgeIn(guards, p); f != none {
			if shutOut[f] == nil {
				shutOut[f] = map[string]int{}
			}
			shutOut[f][p.Namespace]++
		}
	}
	var out []checks.Finding
	for _, f := range faults() {
		if len(shutOut[f]) > 0 {
			out = append(out, w.inward(f, guards, shutOut[f]))
		}
	}
	return out
}

// guard is a DNS pod with the policies that limit who reaches it.
type guard struct {
	server   *destination
	policies []*networkingv1.NetworkPolicy
	rules    []gate
}

// gate is a rule of ingress, for each protocol.
type gate struct {
	from func(end) bool
	open [protocolsOf]bool
}

// guards returns the DNS pods with what guards them, or nil where one of them, or a young
// policy, leaves something to hope for.
func (w *world) guards() []guard {
	byNamespace := w.restricting(networkingv1.PolicyTypeIngress)
	var out []guard
	for i := range w.destinations {
		d := &w.destinations[i]
		if d.way != toPod {
			continue
		}
		g := guard{server: d}
		for _, p := range byNamespace[d.pod.Namespace] {
			if !p.selects.Matches(labels.Set(d.pod.Labels)) {
				continue
			}
			if young(w.Snapshot, p.NetworkPolicy) {
				return nil
			}
			g.policies = append(g.policies, p.NetworkPolicy)
			g.rules = append(g.rules, w.gates(p.NetworkPolicy, d)...)
		}
		if len(g.policies) == 0 || d.pod.HostNetwork {
			return nil
		}
		out = append(out, g)
	}
	return out
}

func (w *world) gates(np *networkingv1.NetworkPolicy, d *destination) []gate {
	var out []gate
	for i := range np.Spec.Ingress {
		rule := &np.Spec.Ingress[i]
		g := gate{from: peers(w.namespaces, np.Namespace, rule.From)}
		for k, proto := range protocols() {
			g.open[k] = open(rule.Ports, proto, d.pod, d.ports[k])
		}
		out = append(out, g)
	}
	return out
}

// judgeIn tells what keeps a pod from all DNS pods.
func judgeIn(guards []guard, p *facts.Pod) fault {
	var through [protocolsOf]bool
	client := end{pod: p, ips: addresses(p.IPs())}
	for i := range guards {
		for j := range guards[i].rules {
			rule := &guards[i].rules[j]
			if (rule.open[udp] && !through[udp] || rule.open[tcp] && !through[tcp]) && rule.from(client) {
				through[udp], through[tcp] = through[udp] || rule.open[udp], through[tcp] || rule.open[tcp]
			}
			if through[udp] && through[tcp] {
				return none
			}
		}
	}
	switch {
	case through[udp]:
		return udpOnly
	case through[tcp]:
		return tcpOnly
	case len(client.ips) == 0:
		return none // it has no network yet
	}
	return shut
}
