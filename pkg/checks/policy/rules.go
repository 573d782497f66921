package policy

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// selector compiles a label selector. The API server refuses those that are not valid.
func selector(of *metav1.LabelSelector) labels.Selector {
	out, err := metav1.LabelSelectorAsSelector(of)
	if err != nil {
		return labels.Nothing()
	}
	return out
}

// namespaceLabels returns each namespace's labels. Every namespace has its name as one.
func namespaceLabels(s *facts.Snapshot) map[string]labels.Set {
	out := make(map[string]labels.Set, len(s.Namespaces))
	for _, ns := range s.Namespaces {
		set := labels.Set{corev1.LabelMetadataName: ns.Name}
		for k, v := range ns.Labels {
			set[k] = v
		}
		out[ns.Name] = set
	}
	return out
}

// end is one end of a connection.
type end struct {
	pod *facts.Pod // what selectors look at, or nil
	ips []netip.Addr
}

func addresses(texts []string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, a.Unmap())
		}
	}
	return out
}

// peers compiles the peers of a rule of a policy in this namespace. No peer means every
// one. That a pod uses its node's network is passed over: what selectors make of such
// pods is left to the plugins.
func peers(namespaces map[string]labels.Set, namespace string, list []networkingv1.NetworkPolicyPeer) func(end) bool {
	if len(list) == 0 {
		return func(end) bool { return true }
	}
	each := make([]func(end) bool, 0, len(list))
	for i := range list {
		if block := list[i].IPBlock; block != nil {
			each = append(each, inBlock(block))
			continue
		}
		each = append(each, selected(namespaces, namespace, &list[i]))
	}
	return func(e end) bool { return slices.ContainsFunc(each, func(f func(end) bool) bool { return f(e) }) }
}

func selected(namespaces map[string]labels.Set, namespace string, peer *networkingv1.NetworkPolicyPeer) func(end) bool {
	pods, from := labels.Everything(), labels.Nothing()
	if peer.PodSelector != nil {
		pods = selector(peer.PodSelector)
	}
	if peer.NamespaceSelector != nil {
		from = selector(peer.NamespaceSelector)
	}
	return func(e end) bool {
		if e.pod == nil {
			return false
		}
		if peer.NamespaceSelector == nil && e.pod.Namespace != namespace {
			return false
		}
		if peer.NamespaceSelector != nil && !from.Matches(namespaces[e.pod.Namespace]) {
			return false
		}
		return pods.Matches(labels.Set(e.pod.Labels))
	}
}

func inBlock(block *networkingv1.IPBlock) func(end) bool {
	cidr, err := netip.ParsePrefix(block.CIDR)
	var except []netip.Prefix
	for _, text := range block.Except {
		if p, err := netip.ParsePrefix(text); err == nil {
			except = append(except, p)
		}
	}
	return func(e end) bool {
		return err == nil && slices.ContainsFunc(e.ips, func(a netip.Addr) bool {
			return cidr.Contains(a) && !slices.ContainsFunc(except, func(p netip.Prefix) bool { return p.Contains(a) })
		})
	}
}

// open tells whether ports of a rule let a protocol through to a port, which for a name
// is looked up in the pod that receives. No port means every one; none of a protocol
// means TCP.
func open(ports []networkingv1.NetworkPolicyPort, proto corev1.Protocol, to *facts.Pod, port int32) bool {
	if len(ports) == 0 {
		return true
	}
	return slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		given := corev1.ProtocolTCP
		if p.Protocol != nil {
			given = *p.Protocol
		}
		switch {
		case given != proto:
			return false
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			return to != nil && named(to, p.Port.StrVal, proto) == port
		case p.EndPort != nil:
			return p.Port.IntVal <= port && port <= *p.EndPort
		}
		return p.Port.IntVal == port
	})
}

// named returns the number of a pod's port of that name, or 0.
func named(p *facts.Pod, name string, proto corev1.Protocol) int32 {
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.Init && !c.Restartable {
			continue
		}
		for _, port := range c.Ports {
			if port.Name == name && cmp.Or(port.Protocol, corev1.ProtocolTCP) == proto {
				return port.ContainerPort
			}
		}
	}
	return 0
}
