package facts

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// dnsPort is where clients ask; a Service may send it on to another one.
const dnsPort = 53

// nodeCacheImage is part of the image of NodeLocal DNSCache: upstream's
// k8s-dns-node-cache, RKE2's hardened-dns-node-cache.
const nodeCacheImage = "dns-node-cache"

// ServesDNS tells whether a Service listens where clients ask for names. One whose
// address a kubelet names by mistake does not.
func ServesDNS(svc *corev1.Service) bool {
	return slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == dnsPort })
}

// DNSElsewhere says why no Service of this cluster answers its pods' questions, or "".
// A link-local address alone does not say so: NodeLocal DNSCache has one and stands in
// front of the Service, except before GKE's Cloud DNS. On GKE the kube-dns Service is
// there even if Cloud DNS answers; where neither a DNS pod nor a kubelet's
// configuration was seen, nobody can tell. It reads Configz, Nodes and Pods.
func (s *Snapshot) DNSElsewhere() string {
	cloud := len(s.DNSPods()) == 0 && slices.ContainsFunc(s.Nodes, func(n *corev1.Node) bool {
		return n.Labels["cloud.google.com/gke-nodepool"] != ""
	})
	if why := s.DNSOutside(); why != "" && (cloud || len(s.NodeCaches()) == 0) {
		return why
	}
	if cloud && len(s.Configz) == 0 {
		return "no DNS server runs as a pod, so on GKE it may be Cloud DNS; the kubelets' configuration would tell and was not read"
	}
	return ""
}

// NodeCaches returns the pods of NodeLocal DNSCache. It reads Pods.
func (s *Snapshot) NodeCaches() []*Pod {
	var out []*Pod
	for _, p := range s.Pods {
		if p.HostNetwork && slices.ContainsFunc(p.Containers, func(c Container) bool { return strings.Contains(c.Image, nodeCacheImage) }) {
			out = append(out, p)
		}
	}
	return out
}

// DNSListeners returns a function that tells whether something other than a Service
// answers on an address, or may: what listens on a link-local address of the node, a
// DNS server's own pod, and what NodeLocal DNSCache binds on every node (node-cache
// -localip). It reads Pods.
func (s *Snapshot) DNSListeners() func(ip string) bool {
	bound := map[netip.Addr]bool{}
	for _, p := range s.Pods {
		if p.Finished() || !p.HostNetwork && !SystemNamespace(p.Namespace) {
			continue
		}
		for i := range p.Containers {
			for _, ip := range p.Containers[i].dnsAddresses(p) {
				if a, err := netip.ParseAddr(ip); err == nil {
					bound[a.Unmap()] = true
				}
			}
		}
	}
	return func(ip string) bool {
		a, err := netip.ParseAddr(ip)
		return err == nil && (a.IsLinkLocalUnicast() || bound[a.Unmap()])
	}
}

// dnsAddresses returns where a container serves DNS beside what a Service gives it.
func (c *Container) dnsAddresses(p *Pod) []string {
	switch {
	case strings.Contains(c.Image, nodeCacheImage):
		return append(localIPs(c.Command), p.IPs()...)
	case p.RunsDNS(*c):
		return p.IPs()
	}
	return nil
}

// localIPs reads the value of -localip, in the forms that Go's flags take.
func localIPs(args []string) []string {
	for i, arg := range args {
		name, value, found := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if name != "localip" || !strings.HasPrefix(arg, "-") {
			continue
		}
		if !found && i+1 < len(args) {
			value = args[i+1]
		}
		return strings.Split(value, ",")
	}
	return nil
}

// SameIP tells whether two spellings are the same address: fd00::a and FD00:0::A.
func SameIP(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := netip.ParseAddr(strings.TrimSpace(a))
	y, errY := netip.ParseAddr(strings.TrimSpace(b))
	return errX == nil && errY == nil && x.Unmap() == y.Unmap()
}
