package kubeproxy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NFTKernel finds nodes whose kernel kube-proxy does not accept in mode nftables.
var NFTKernel = &checks.Check{
	ID:       "kube-proxy-nft-kernel",
	Title:    "Nodes on which kube-proxy is to use nftables have a kernel from 5.13 on",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-nftables",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods, facts.Nodes},
	When:     noSettings,
	MayUse:   []*facts.Source{facts.PodLogs},
	Explains: []*checks.Check{PodUnhealthy, SyncErrors},
	ByHand: []string{"kubectl get nodes -o custom-columns=NAME:.metadata.name,KERNEL:.status.nodeInfo.kernelVersion",
		"kubectl -n kube-system get configmap kube-proxy -o yaml | grep mode:", "kubectl -n kube-system logs POD --previous"},
	Run: findNFTKernel,
	Doc: `In mode nftables kube-proxy exits on a kernel older than 5.13 ("kube-proxy in nftables mode requires kernel 5.13 or
later"): it takes the kernel's age for that of the nft program on the host, which older ones of its own rules would break.
The node's Service rules then stay as they were, and are gone after its next start.

A kube-proxy that still runs there was started in another mode and exits at its next start: that is a warning, unless its log
shows that it fails to write its rules (**kube-proxy-sync-errors**). With the
variable KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK in the DaemonSet kube-proxy does not look, and neither is it reported.

**How it comes about**: the mode was changed for a cluster in which some nodes have an older distribution (RHEL 8 has 4.18,
Ubuntu 20.04 has 5.4, Debian 11 has 5.10).

**Cure**: give the nodes a newer kernel, or set mode: iptables and restart the DaemonSet. One DaemonSet for each kind of node,
each with its own ConfigMap, is possible, too.`,
}

const skipKernelCheck = "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK"

func findNFTKernel(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		c := p.settings()
		skips := slices.ContainsFunc(p.spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == skipKernelCheck })
		if c == nil || c.mode() != "nftables" || skips || len(p.spec.Containers[0].EnvFrom) > 0 {
			continue
		}
		for _, pod := range p.pods {
			n := s.Node(pod.Node)
			if n == nil || pod.Deleting || !older(n.Status.NodeInfo.KernelVersion, 5, 13) {
				continue
			}
			out = append(out, p.tooOld(c, n, pod))
		}
	}
	return out
}

func (p *proxy) tooOld(c *settings, n *corev1.Node, pod *facts.Pod) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(n.Name),
		Message: "has a kernel older than 5.13, with which kube-proxy exits in mode nftables",
		Evidence: []checks.Evidence{checks.Quote(facts.NodeRef(n.Name).String()+", kernelVersion", n.Status.NodeInfo.KernelVersion),
			c.quote("mode", "nftables")},
		Remedy: fmt.Sprintf("Set mode: iptables in key %s of %s, then: %s; or give the node a kernel from 5.13 on.", c.at.key, c.at.ref(), p.restart()),
		Places: []facts.Ref{pod.Ref()},
	}
	_, fails := unwritten(p.s, pod, false)
	if pod.Ready && !fails && !pod.Unsettled(p.s.Taken, settled) && restarting(p.s, pod) == nil {
		f.Severity = checks.Warning // it was started in another mode
	}
	return f
}

// older tells whether a kernel's version is known to be older than another.
func older(kernel string, major, minor int) bool {
	var x, y int
	if n, _ := fmt.Sscanf(kernel, "%d.%d", &x, &y); n < 2 {
		return false
	}
	return x < major || x == major && y < minor
}
