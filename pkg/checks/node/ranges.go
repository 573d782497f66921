package node

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// maxQuoted is how many objects of one kind a finding quotes.
const maxQuoted = 3

// podRange is a range of pods' addresses and the node that it was given to.
type podRange struct {
	netip.Prefix
	node *corev1.Node
}

// podRanges returns the ranges of all nodes in the order of their addresses, the wider
// first.
func podRanges(s *facts.Snapshot) []podRange {
	var out []podRange
	for _, n := range s.Nodes {
		for _, p := range facts.PodRanges(n) {
			out = append(out, podRange{p, n})
		}
	}
	slices.SortStableFunc(out, func(a, b podRange) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	return out
}

// rangesUnused says why the pod ranges of the nodes mean nothing here, or "". Where no
// plugin has agents something on the nodes may use them: k3s, kubenet.
func rangesUnused(s *facts.Snapshot) string {
	other := ""
	for _, d := range plugins.Detect(s) {
		switch {
		case d.Plugin.Kind != plugins.Primary:
		case d.Plugin.UsesPodCIDR:
			return ""
		default:
			other = d.Plugin.Name
		}
	}
	if other == "" {
		return ""
	}
	return other + " does not take pods' addresses from spec.podCIDR of the nodes"
}

// overlapUnseen says why it cannot be told whether ranges overlap, or "": Calico has ranges of
// its own, but takes what kubeadm planned unless it is told another one.
func overlapUnseen(s *facts.Snapshot) string {
	why := rangesUnused(s)
	if why == "" || !slices.ContainsFunc(plugins.Detect(s), func(d plugins.Detected) bool { return d.Plugin.ID == "calico" }) {
		return why
	}
	if p, known := planned(s); known && len(p.given(s)) > 0 {
		return ""
	}
	return why
}

// addressesOf returns the addresses of a node of some types.
func addressesOf(n *corev1.Node, types ...corev1.NodeAddressType) []netip.Addr {
	var out []netip.Addr
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(strings.TrimSpace(a.Address)); err == nil && slices.Contains(types, a.Type) {
			out = append(out, ip.Unmap())
		}
	}
	return out
}

// silent tells whether nothing was heard of a node for a while, or ever: its object may
// stand for a machine that has another one now.
func silent(n *corev1.Node) bool {
	c := facts.NodeReady(n)
	return c == nil || c.Status == corev1.ConditionUnknown
}
