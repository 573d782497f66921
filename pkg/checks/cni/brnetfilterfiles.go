package cni

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

const (
	bridgeCalls  = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	bridgeCalls6 = "/proc/sys/net/bridge/bridge-nf-call-ip6tables"
)

// podBridge returns the bridge that a node's pods hang on: one with an address of the node's
// pod range, as Flannel, kube-router and the plugin bridge make it. Plugins that route to
// each pod by itself have none. That a bridge's network holds the pod range means nothing:
// virtual machines may have 10.0.0.0/8.
func podBridge(v host.View, n *corev1.Node) *host.Link {
	links, _ := v.Links()
	for i := range links {
		if links[i].Kind != "bridge" {
			continue
		}
		for _, a := range links[i].Addrs {
			if slices.ContainsFunc(facts.PodRanges(n), func(r netip.Prefix) bool { return r.Contains(a.Addr()) }) {
				return &links[i]
			}
		}
	}
	return nil
}

// bridgeSettings names the settings that must be 1 on a node: one for each family of its pods.
func bridgeSettings(n *corev1.Node) []string {
	var out []string
	for _, r := range facts.PodRanges(n) {
		if name := map[bool]string{true: bridgeCalls, false: bridgeCalls6}[r.Addr().Is4()]; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// bridgeFiles names what must be known of the nodes, where nodes are looked at.
func bridgeFiles(s *facts.Snapshot) []checks.Part {
	if s.Depth < facts.Host {
		return nil
	}
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		v := host.Of(s, n.Name)
		names := []string{host.AddrFile}
		if podBridge(v, n) != nil {
			names = append(names, bridgeSettings(n)...)
		}
		out = append(out, checks.Files(s, n.Name, names...)...)
		if _, err := v.Links(); err != nil {
			out = append(out, checks.Part{Source: facts.Files, Key: n.Name, Lacks: err.Error()})
		}
	}
	return out
}

// unfiltered tells of a node what its own settings say: found where a bridge of pods is not
// filtered.
func unfiltered(s *facts.Snapshot, n *corev1.Node) (f checks.Finding, found bool) {
	v := host.Of(s, n.Name)
	bridge := podBridge(v, n)
	if bridge == nil || bridge.Filters {
		return f, false
	}
	f = checks.Finding{
		Subject: facts.NodeRef(n.Name),
		Message: notFiltered,
		Remedy: "On the node: modprobe br_netfilter, and sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1; name the module in a file of " +
			"/etc/modules-load.d and the settings in one of /etc/sysctl.d, so that it lasts.",
	}
	for _, name := range bridgeSettings(n) {
		switch {
		case v.Word(name) == "0":
			f.Evidence = append(f.Evidence, checks.QuoteFile(n.Name, name, "0"))
		case v.Absent(name):
			f.Evidence = append(f.Evidence, checks.QuoteFile(n.Name, name, "is not there: the module br_netfilter is not loaded"))
		}
	}
	if len(f.Evidence) == 0 {
		return f, false
	}
	f.Evidence = append(f.Evidence, checks.QuoteFile(n.Name, host.AddrFile, "the pods' bridge is "+bridge.Name))
	return f, true
}
