package node

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// way is from where to where a node forwards what its pods send and get, in one family of
// addresses. The peer is the node where other is; nil where that is own.
type way struct {
	own, other netip.Prefix
	peer       *corev1.Node
}

// ways knows where the pods of each node are: their node's range where the plugin gives
// them addresses from that, or else the address of one of them in each family.
type ways struct {
	nodes []*corev1.Node
	pods  map[string][]netip.Prefix
}

// waysOf reads Nodes, Pods and DaemonSets.
func waysOf(s *facts.Snapshot) ways {
	w := ways{s.LinuxNodes(), map[string][]netip.Prefix{}}
	fromRange := rangesUnused(s) == ""
	for _, n := range w.nodes {
		if fromRange {
			w.pods[n.Name] = facts.PodRanges(n)
		}
		if len(w.pods[n.Name]) == 0 {
			w.pods[n.Name] = onePodEach(s.PodsOn(n.Name))
		}
	}
	return w
}

// everyPod tells whether all pods were read: not those of one namespace and the system's alone.
func everyPod(s *facts.Snapshot) bool { return s.Scope == "" && s.Missing(facts.Pods) == "" }

// unplaced names a node that was looked at and of which it is not known where its pods are: it
// has no range, and none of the pods that were read runs there.
func (w ways) unplaced(s *facts.Snapshot, node string) []checks.Part {
	if len(w.pods[node]) > 0 || everyPod(s) || !host.Of(s, node).Known() {
		return nil
	}
	return []checks.Part{{Source: facts.Pods, Key: node, Lacks: "which pods run there is not known"}}
}

// onePodEach returns the address of one pod in each family.
func onePodEach(pods []*facts.Pod) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range pods {
		if p.HostNetwork || p.Finished() {
			continue
		}
		for _, text := range p.IPs() {
			ip, err := netip.ParseAddr(text)
			if err == nil && !slices.ContainsFunc(out, func(known netip.Prefix) bool { return known.Addr().Is4() == ip.Is4() }) {
				out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
			}
		}
	}
	return out
}

// from returns the ways of a node, one for each family that its pods have: to the pods of
// another node, or among its own where it is the only one.
func (w ways) from(node string) []way {
	var out []way
	for _, own := range w.pods[node] {
		to := way{own: own, other: own}
		for _, n := range w.nodes {
			i := slices.IndexFunc(w.pods[n.Name], func(p netip.Prefix) bool { return p.Addr().Is4() == own.Addr().Is4() })
			if n.Name != node && i >= 0 {
				to.other, to.peer = w.pods[n.Name][i], n
				break
			}
		}
		out = append(out, to)
	}
	return out
}

// garbled names a node whose interfaces or routes were read and make no sense.
func garbled(v host.View) []checks.Part {
	_, err := v.Links()
	if err == nil {
		_, err = v.Routes()
	}
	if err == nil {
		return nil
	}
	return []checks.Part{{Source: facts.Files, Key: v.Node(), Lacks: err.Error()}}
}
