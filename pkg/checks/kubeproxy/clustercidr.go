package kubeproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// ClusterCIDR finds a clusterCIDR in which the pods do not have their addresses.
var ClusterCIDR = &checks.Check{
	ID:       "kube-proxy-cluster-cidr",
	Title:    "kube-proxy's clusterCIDR is the range of the pods",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods, facts.Nodes},
	MayUse:   []*facts.Source{facts.PodLogs},
	When:     noRange,
	ByHand: []string{"kubectl -n kube-system get configmap kube-proxy -o yaml | grep clusterCIDR",
		"kubectl get nodes -o custom-columns=NAME:.metadata.name,PODCIDRS:.spec.podCIDRs", "kubectl -n kube-system get pods -o wide"},
	Run: findClusterCIDR,
	Doc: `By clusterCIDR kube-proxy tells the traffic of pods from that of others. What comes to a Service from elsewhere it
masquerades: the answer then finds its way back, and the sender's address is lost. A pod outside the range is treated as a
stranger. Its connections work, but whoever is behind the Service sees the address of a node: network policies that allow
certain pods refuse them, logs and allow-lists name the wrong sender, and the way to a load balancer's address with
` + "`externalTrafficPolicy: Local`" + ` is not shortened for pods.

It counts only while detectLocalMode is ClusterCIDR or not set. An empty clusterCIDR is right for plugins that masquerade
themselves. With others kube-proxy then masquerades nothing: what a node of several networks sends to a Service may leave with an
address to which the answer finds no way. That is told as information, where kube-proxy's log says that it has no range. The podCIDRs of nodes do not count while the pods
have their addresses from elsewhere (Calico's pools, AWS).

**How it comes about**: the range was changed, or a second one was added, and kube-proxy was forgotten; the plugin was
installed with another range than ` + "`kubeadm init --pod-network-cidr`" + ` was given.

**Cure**: set clusterCIDR in the ConfigMap, then restart the DaemonSet. Connections that exist are not touched.`,
}

// noRange says why the range means nothing here, or "". Cilium turns the address of a Service
// into that of a pod before kube-proxy's rules see a pod's packet, kube-proxy beside it or
// not (https://github.com/cilium/cilium/pull/10651).
func noRange(s *facts.Snapshot) string {
	if slices.ContainsFunc(plugins.Detect(s), func(d plugins.Detected) bool { return d.Plugin.ID == "cilium" }) {
		return "Cilium leads pods to Services by itself, past kube-proxy"
	}
	byFlags := slices.ContainsFunc(templates(s), func(p *proxy) bool { return flag(&p.spec.Containers[0], "config") == "" })
	if why := noSettings(s); why != "" && !byFlags {
		return why
	}
	return noDaemonSet(s)
}

func findClusterCIDR(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		c := p.settings()
		if c != nil && c.DetectLocalMode != "" && c.DetectLocalMode != "ClusterCIDR" {
			continue
		}
		out = append(out, p.rangeless(c)...)
		if c == nil {
			continue
		}
		for text := range strings.SplitSeq(c.ClusterCIDR, ",") {
			if cidr, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
				out = append(out, p.strangers(c, cidr.Masked())...)
			}
		}
	}
	return once(out)
}

// strangers reports the pods and nodes of a range's family that lie outside of it.
func (p *proxy) strangers(c *settings, cidr netip.Prefix) []checks.Finding {
	in, out, used := podAddresses(p.s, cidr)
	f := checks.Finding{Subject: c.at.ref(), Evidence: []checks.Evidence{c.quote("clusterCIDR", c.ClusterCIDR)}}
	nodes := outside(p.s, cidr)
	switch {
	case in == 0 && len(out) > 0:
		f.Message = fmt.Sprintf("sets clusterCIDR to %s, which is not where pods have their addresses", c.ClusterCIDR)
		for _, pod := range out[:min(len(out), 2)] {
			f.Evidence = append(f.Evidence, checks.Quote(pod.Ref().String()+", podIPs", pod.JoinedIPs))
		}
	case used && len(nodes) > 0:
		f.Message = fmt.Sprintf("sets clusterCIDR to %s, which leaves out the pods of some nodes", c.ClusterCIDR)
	default:
		return nil
	}
	for _, n := range nodes[:min(len(nodes), 3)] {
		f.Evidence = append(f.Evidence, checks.Quote(facts.NodeRef(n.Name).String()+", podCIDRs", joined(podCIDRs(n))))
	}
	f.Remedy = fmt.Sprintf("Set clusterCIDR to %s, then restart kube-proxy: %s.", p.rightCIDR(out, nodes), p.restart())
	return []checks.Finding{f}
}

// podAddresses looks at the pods of the system namespaces that are on the pod network:
// how many have an address of the range's family in the range, which have one outside,
// and whether any has it from its node's podCIDR.
func podAddresses(s *facts.Snapshot, cidr netip.Prefix) (in int, out []*facts.Pod, used bool) {
	for _, ns := range facts.SystemNamespaces() {
		for _, pod := range s.PodsIn(ns) {
			ip, ok := address(pod, cidr.Addr().Is4())
			if !ok {
				continue
			}
			if cidr.Contains(ip) {
				in++
			} else {
				out = append(out, pod)
			}
			if n := s.Node(pod.Node); n != nil {
				for _, own := range podCIDRs(n) {
					used = used || own.Contains(ip)
				}
			}
		}
	}
	return in, out, used
}

// address returns a pod's address of a family on the pod network.
func address(p *facts.Pod, four bool) (netip.Addr, bool) {
	if p.HostNetwork || p.Finished() {
		return netip.Addr{}, false
	}
	for _, text := range p.IPs() {
		if ip, err := netip.ParseAddr(text); err == nil && ip.Is4() == four {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// outside returns the nodes with a podCIDR of the range's family that is not in it.
func outside(s *facts.Snapshot, cidr netip.Prefix) []*corev1.Node {
	var out []*corev1.Node
	for _, n := range s.LinuxNodes() {
		for _, own := range podCIDRs(n) {
			if own.Addr().Is4() == cidr.Addr().Is4() && !inside(cidr, own) {
				out = append(out, n)
				break
			}
		}
	}
	return out
}

// rightCIDR names the range that kubeadm gave to the pods, if it holds those that the
// configuration leaves out.
func (p *proxy) rightCIDR(pods []*facts.Pod, nodes []*corev1.Node) string {
	made := madeBy(p.s)
	for text := range strings.SplitSeq(made.Networking.PodSubnet, ",") {
		cidr, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			continue
		}
		missed := 0
		for _, pod := range pods {
			if ip, ok := address(pod, cidr.Addr().Is4()); ok && !cidr.Contains(ip) {
				missed++
			}
		}
		for _, n := range nodes {
			for _, own := range podCIDRs(n) {
				if own.Addr().Is4() == cidr.Addr().Is4() && !inside(cidr, own) {
					missed++
				}
			}
		}
		if missed == 0 {
			return fmt.Sprintf("%s (podSubnet in %s)", made.Networking.PodSubnet, made.from)
		}
	}
	return "the range from which the plugin gives all pods their addresses, one for each IP family"
}

func joined(list []netip.Prefix) string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}
