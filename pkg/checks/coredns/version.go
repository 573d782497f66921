package coredns

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Version finds CoreDNS that was left behind by the upgrades of its cluster.
var Version = &checks.Check{
	ID:       "coredns-version",
	Title:    "CoreDNS is as new as the Kubernetes that it serves",
	Severity: checks.Info, // it works, or another check says why not
	URL:      "https://github.com/coredns/deployment/blob/master/kubernetes/CoreDNS-k8s_version.md",
	Needs:    []*facts.Source{facts.SystemPods},
	MayUse:   []*facts.Source{facts.Nodes},
	When:     renewed,
	ByHand: []string{"kubectl -n kube-system get pods -l k8s-app=kube-dns -o jsonpath='{.items[*].spec.containers[*].image}'",
		"kubectl version"},
	Run: findVersion,
	Doc: `Each release of Kubernetes is tested with one version of CoreDNS, the one that kubeadm installs and upgrades to. Where something
else installed CoreDNS, an upgrade of the cluster leaves it as it is: a managed add-on of EKS that is updated by itself, a Helm
chart, a manifest. An old one usually works. It lacks years of corrections, among them those of vulnerabilities, and in the end
asks the API server for what that no longer has (CoreDNS before 1.8 cannot read the EndpointSlices of today).

It is told where the image's tag is of an older minor release of CoreDNS than kubeadm installs: 1.11 on Kubernetes 1.33, which comes
with 1.12.0. The oldest kubelet counts, not the API server, so that nothing is told in the middle of an upgrade. A tag that
names no version cannot be judged; of a vendor's, the part that is CoreDNS's own counts. Servers that do not serve have nearer
worries, and are left out.

Cure: ` + "`kubeadm upgrade`" + ` does it where kubeadm installed CoreDNS; otherwise update the add-on, the chart or the manifest. Look
first at what the releases between have removed from the Corefile (**coredns-corefile-removed**), and at the right to list and watch
EndpointSlices, which CoreDNS asks for since 1.8.3.`,
}

// installed says which CoreDNS kubeadm installs, by the minor version of Kubernetes: the table
// of coredns/deployment and, from 1.34 on, CoreDNSVersion of k8s.io/kubernetes
// cmd/kubeadm/app/constants.
func installed(minor int) string {
	table := []string{18: "1.6.7", 19: "1.7.0", 20: "1.7.0", 21: "1.8.0", 22: "1.8.4", 23: "1.8.6", 24: "1.8.6", 25: "1.9.3", 26: "1.9.3",
		27: "1.10.1", 28: "1.10.1", 29: "1.11.1", 30: "1.11.1", 31: "1.11.3", 32: "1.11.3", 33: "1.12.0", 34: "1.12.1", 35: "1.13.1",
		36: "1.14.2", 37: "1.14.6"}
	return table[min(max(minor, 0), len(table)-1)]
}

// renewed says why CoreDNS cannot be left behind in this cluster, or "".
func renewed(s *facts.Snapshot) string {
	for _, n := range s.Nodes {
		if v := n.Status.NodeInfo.KubeletVersion; strings.Contains(v, "+k3s") || strings.Contains(v, "+rke2") {
			return fmt.Sprintf("k3s and RKE2 bring their own CoreDNS and install it anew with each release (Node %s, kubelet %s)", n.Name, v)
		}
	}
	return ""
}

func findVersion(s *facts.Snapshot) []checks.Finding {
	minor, from := oldestMinor(s)
	meant := installed(minor)
	if meant == "" {
		return nil
	}
	wanted := version("coredns:" + meant)
	var out []checks.Finding
	for _, v := range newFleet(s).servers {
		runs := version(v.container.Image)
		if runs == nil || !serves(v.pod) || slices.Compare(runs[:2], wanted[:2]) >= 0 {
			continue
		}
		out = told(out, checks.Finding{
			Subject: owner(v.pod),
			Message: "runs a CoreDNS that is older than this Kubernetes comes with",
			Evidence: []checks.Evidence{checks.Quote(containerOf(owner(v.pod), v.container.Name), "image: "+v.container.Image),
				checks.Quote(from, fmt.Sprintf("kubeadm 1.%d installs CoreDNS %s", minor, meant))},
			Remedy: fmt.Sprintf("Plan the upgrade to CoreDNS %s, by kubeadm upgrade, the add-on or the chart that owns it; read first what the releases between removed from the Corefile.", meant),
			Places: []facts.Ref{v.pod.Ref()},
		})
	}
	return out
}

// oldestMinor returns the minor version of Kubernetes that everything in the cluster has
// reached, 0 where it is not known, and what says so.
func oldestMinor(s *facts.Snapshot) (minor int, from string) {
	if v := version("server:" + s.Server); v != nil && v[0] == 1 {
		minor, from = v[1], "API server "+s.Server
	}
	for _, n := range s.Nodes {
		said := n.Status.NodeInfo.KubeletVersion
		if v := version("kubelet:" + said); minor != 0 && v != nil && v[0] == 1 && v[1] < minor {
			minor, from = v[1], facts.NodeRef(n.Name).String()+", kubelet "+said
		}
	}
	return minor, from
}
