package coredns

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// LegacyKubeDNS finds clusters that still run the DNS server from before CoreDNS.
var LegacyKubeDNS = &checks.Check{
	ID:       "dns-legacy-kube-dns",
	Title:    "Cluster DNS is served by CoreDNS, not by kube-dns",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/coredns/",
	Needs:    []*facts.Source{facts.SystemPods},
	MayUse:   []*facts.Source{facts.Nodes, facts.ConfigMaps},
	When:     gke,
	ByHand: []string{"kubectl -n kube-system get pods -l k8s-app=kube-dns -o jsonpath='{.items[*].spec.containers[*].image}'",
		"kubectl -n kube-system get configmap kube-dns -o yaml"},
	Run: findLegacyKubeDNS,
	Doc: `kube-dns is the DNS server from before CoreDNS: a pod of three containers, kubedns, dnsmasq and sidecar. Kubernetes has recommended
CoreDNS since 1.11, and kubeadm knows nothing else since 1.21. Only Google's GKE still cares for kube-dns, and is left out here; elsewhere
nobody tries it with new releases of Kubernetes, and most checks of this doctor have nothing to read in it: it has no Corefile.

It comes about in old clusters whose upgrades replaced everything else. That the Service is called kube-dns means nothing:
CoreDNS stands behind a Service of that name, too.

Cure: install CoreDNS beside it and let it answer behind the same Service: ` + "`kubeadm upgrade`" + ` up to 1.20 did so, and the script
deploy.sh of coredns/deployment does it elsewhere. ` + "`stubDomains` and `upstreamNameservers`" + ` of ConfigMap kube-dns must become lines
` + "`forward`" + ` of the Corefile.`,
}

// gke says why kube-dns is what this cluster is meant to have, or "".
func gke(s *facts.Snapshot) string {
	if slices.ContainsFunc(s.Nodes, func(n *corev1.Node) bool { return n.Labels["cloud.google.com/gke-nodepool"] != "" }) {
		return "GKE runs kube-dns"
	}
	return ""
}

func findLegacyKubeDNS(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, v := range servers(s) {
		if !legacy(v.container.Image) || !serves(v.pod) {
			continue
		}
		f := checks.Finding{
			Subject: owner(v.pod), Message: "is kube-dns, which nobody cares for outside of GKE any more",
			Evidence: []checks.Evidence{checks.Quote(containerOf(owner(v.pod), v.container.Name), "image: "+v.container.Image)},
			Remedy:   "Plan the move to CoreDNS behind the same Service; the Corefile must take over what ConfigMap kube-dns says of stubDomains and upstreamNameservers.",
			Places:   []facts.Ref{v.pod.Ref()},
		}
		for _, name := range v.pod.ConfigMaps {
			for _, key := range []string{"stubDomains", "upstreamNameservers"} {
				if cm := s.ConfigMap(v.pod.Namespace, name); cm != nil && cm.Data[key] != "" {
					f.Evidence = append(f.Evidence, checks.Quote(configRef(cm).String()+", "+key, cm.Data[key]))
				}
			}
		}
		out = told(out, f)
	}
	return out
}
