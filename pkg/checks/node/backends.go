package node

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// BackendMixed finds nodes on which iptables rules stand in both of the kernel's back ends.
var BackendMixed = &checks.Check{
	ID:       "iptables-backend-mixed",
	Title:    "iptables rules of the cluster stand in one back end of the kernel",
	Severity: checks.Error,
	URL:      "https://github.com/kubernetes-sigs/iptables-wrappers",
	Needs:    []*facts.Source{facts.Files, facts.Nodes},
	Parts:    backendParts,
	Explains: []*checks.Check{coredns.APIUnreachable, coredns.NotSynced, traffic.ServicePath, symptom.DNSProbeCluster},
	ByHand: []string{"iptables-legacy-save | grep -c KUBE; iptables-nft-save | grep -c KUBE # on the node",
		"iptables-nft-save -t mangle | grep KUBE-IPTABLES-HINT; iptables-legacy-save -t mangle | grep KUBE-IPTABLES-HINT # on the node", "iptables --version # on the node"},
	Run: findBackendMixed,
	Doc: `There are two kinds of iptables: "legacy" has tables of its own in the kernel, "nf_tables" (iptables 1.8 and later) keeps its rules
as those of nftables. A node can have rules in both; the kernel then goes through both, and neither program shows those of the
other.

**kube-proxy's Service rules in both** are an error: one set is what an earlier kube-proxy left. Nobody keeps it up to date, and it
leads connections to pods that are gone, or to addresses that are now other pods'. **Chains of the network plugin in both** are a
warning, as is kube-proxy in the back end which
**the node itself does not use**: the kubelet writes the chain KUBE-IPTABLES-HINT with the node's own iptables, so that programs in
containers can find out which that is.

A chain that no rule of the kernel's own chains leads to counts for nothing: KUBE-KUBELET-CANARY, KUBE-PROXY-CANARY and the hint
stand in one back end or both on healthy nodes.

**How it comes about**: kube-proxy or the plugin was updated to an image that chooses the other back end, or the node's alternative
for iptables was changed (update-alternatives), and the node was not started again since. kube-proxy's images before 1.17 use
legacy, whatever the node does.

**Cure**: let everything use the node's back end, and then clear the other: drain the node and restart it, which is the surest; or
delete the KUBE chains there (` + "`iptables-legacy-save | grep -v KUBE | iptables-legacy-restore`" + `).`,
}

// backends are the two files of a family: nf_tables, legacy.
func backends() [][2]string {
	return [][2]string{{"/iptables-save", "/iptables-legacy-save"}, {"/ip6tables-save", "/ip6tables-legacy-save"}}
}

func backendParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		var names []string
		for i, files := range backends() {
			if slices.ContainsFunc(familiesOf(n), func(ip netip.Addr) bool { return ip.Is6() == (i == 1) }) {
				names = append(names, files[:]...)
			}
		}
		out = append(out, checks.Files(s, n.Name, names...)...)
		for _, name := range names {
			if _, err := host.Of(s, n.Name).IPTables(name); err != nil {
				out = append(out, checks.Part{Source: facts.Files, Key: n.Name, Lacks: err.Error()})
			}
		}
	}
	return out
}

// familiesOf returns addresses of the families that a node's pods have: as its range tells,
// or else its own addresses.
func familiesOf(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	for _, r := range facts.PodRanges(n) {
		out = append(out, r.Addr())
	}
	if len(out) == 0 {
		out = addressesOf(n, corev1.NodeInternalIP)
	}
	return out
}

func findBackendMixed(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		v := host.Of(s, n.Name)
		for _, files := range backends() {
			if f, found := mixed(v, files); found {
				out = append(out, f)
				break
			}
		}
	}
	return out
}

const (
	services = "KUBE-SERVICES"
	hint     = "KUBE-IPTABLES-HINT"
)

// mixed tells what of one family stands in both back ends, or in the one that the node does
// not use.
func mixed(v host.View, files [2]string) (checks.Finding, bool) {
	nft, _ := v.IPTables(files[0]) // of what was cut off, what stands there is there
	legacy, _ := v.IPTables(files[1])
	proxy := [2][]string{called(nft, "nat", services), called(legacy, "nat", services)}
	hints := [2]bool{nft.Has("mangle", hint), legacy.Has("mangle", hint)}
	plugin := both(nft, legacy)
	f := checks.Finding{Subject: facts.NodeRef(v.Node())}
	quote := func(i int, what string) {
		f.Evidence = append(f.Evidence, checks.QuoteFile(v.Node(), files[i], what))
	}
	twice := func(what string) {
		f.Evidence = append(f.Evidence, checks.QuoteFile(v.Node(), files[0]+" and "+files[1], what))
	}
	hinted := func(i int) {
		if hints[i] && !hints[1-i] {
			quote(i, "chain "+hint+" of the kubelet, in the node's own back end")
		}
	}
	switch {
	case len(proxy[0]) > 0 && len(proxy[1]) > 0:
		f.Message = "has Service rules of kube-proxy in both back ends of iptables: those that an earlier one left still take connections"
		f.Remedy = "Drain the node and restart it, so that only the rules of the kube-proxy that runs are left; or delete the KUBE chains of the back end that it does not use."
		twice(proxy[0][0])
		hinted(0)
		hinted(1)
	case len(plugin) > 0:
		f.Severity = checks.Warning
		f.Message = "has rules of the network plugin in both back ends of iptables"
		f.Remedy = "Drain the node and restart it, so that only the rules of the agent that runs are left."
		twice("rules lead to " + strings.Join(plugin, ", "))
	case len(proxy[0]) > 0 && hints[1] && !hints[0], len(proxy[1]) > 0 && hints[0] && !hints[1]:
		used := 0
		if len(proxy[1]) > 0 {
			used = 1
		}
		f.Severity = checks.Warning
		f.Message = "has kube-proxy's rules in the back end of iptables that the node itself does not use"
		f.Remedy = "Use an image of kube-proxy that chooses the node's back end (from 1.17 on they do), then drain the node and restart it."
		quote(used, proxy[used][0])
		hinted(1 - used)
	default:
		return f, false
	}
	return f, true
}

// called returns the rules of the kernel's own chains that lead to a chain of the same table.
func called(t host.IPTables, table, chain string) []string {
	var out []string
	for _, own := range []string{"PREROUTING", "OUTPUT"} {
		for _, rule := range t.Rules(table, own) {
			if strings.HasSuffix(rule, "-j "+chain) {
				out = append(out, rule)
			}
		}
	}
	return out
}

// both returns the chains of network plugins that are called in both back ends.
func both(nft, legacy host.IPTables) []string {
	var out []string
	for _, prefix := range []string{"FLANNEL-", "cali-", "WEAVE", "CILIUM_", "KUBE-ROUTER-", "ANTREA-"} {
		other := legacy.Called(prefix)
		for _, chain := range nft.Called(prefix) {
			if slices.Contains(other, chain) {
				out = append(out, chain)
			}
		}
	}
	return out
}
