package kubeproxy

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// SourceIPConntrack finds nodes whose kernel cuts long connections through Services, and where
// kube-proxy does nothing against it.
var SourceIPConntrack = &checks.Check{
	ID:       "kube-proxy-source-ip-conntrack",
	Title:    "Long connections through Services are not cut by late packets",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#migrating-from-iptables-mode-to-nftables",
	Needs:    []*facts.Source{facts.Files, facts.Nodes},
	Parts:    liberalParts,
	ByHand: []string{"uname -r; sysctl net.netfilter.nf_conntrack_tcp_be_liberal # on the node", "nft list tables | grep kube-proxy # on the node",
		"kubectl -n kube-system get configmap kube-proxy -o yaml | grep -A8 conntrack"},
	Run: findNotLiberal,
	Doc: `Kernels before 6.1 hold some late packets of a TCP connection to be invalid, and do not translate their addresses back from those of
the pod to those of the Service. The client gets a packet from an address that it does not know, and ends the connection:
"Connection reset by peer", once in a while, in long or large transfers (kubernetes/kubernetes#117924).

In mode iptables kube-proxy drops such packets, unless ` + "`net.netfilter.nf_conntrack_tcp_be_liberal`" + ` is 1, with which the kernel holds
them to be valid. In mode nftables it does neither by itself. It is told of nodes whose kernel says a version before 6.1, which have
a table kube-proxy of nftables, and where the setting is 0. Kernels of Red Hat's family are left out: they have changes of newer
ones under old numbers.

**How it comes about**: the mode was changed to nftables on nodes with an older kernel, and the setting that goes with it was not
made.

**Cure**: ` + "`conntrack.tcpBeLiberal: true`" + ` in kube-proxy's configuration, or the flag --conntrack-tcp-be-liberal, then restart its
DaemonSet; or a kernel from 6.1 on.`,
}

const beLiberal = "/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal"

// resets tells whether a node's kernel is known to have the fault.
func resets(n *corev1.Node) bool {
	kernel := n.Status.NodeInfo.KernelVersion
	return older(kernel, 6, 1) && !strings.Contains(kernel, ".el")
}

func liberalParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		switch {
		case !resets(n):
		case host.Of(s, n.Name).NftTable("kube-proxy"):
			out = append(out, checks.Files(s, n.Name, beLiberal)...)
		default:
			out = append(out, checks.Files(s, n.Name, host.NftChains)...)
		}
	}
	return out
}

func findNotLiberal(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		v := host.Of(s, n.Name)
		if !resets(n) || !v.NftTable("kube-proxy") || v.Word(beLiberal) != "0" {
			continue
		}
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(n.Name),
			Message: "resets long connections through Services once in a while: its kernel is older than 6.1, and kube-proxy in mode nftables leaves it at that",
			Evidence: []checks.Evidence{checks.Quote("Node "+n.Name+", kernelVersion", n.Status.NodeInfo.KernelVersion),
				checks.QuoteFile(n.Name, beLiberal, "0"), checks.QuoteFile(n.Name, host.NftChains, "there is a table kube-proxy")},
			Remedy: "Set conntrack.tcpBeLiberal: true in kube-proxy's configuration and restart its DaemonSet, or give the node a kernel from 6.1 on.",
		})
	}
	return out
}
