package coredns

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// outside says why cluster DNS needs no server and no Service in this cluster, or "".
func outside(s *facts.Snapshot) string {
	if why := s.DNSElsewhere(); why != "" {
		return why
	}
	if len(s.DNSServices()) > 0 || len(s.DNSPods()) > 0 {
		return ""
	}
	if slices.ContainsFunc(s.Nodes, func(n *corev1.Node) bool { return n.Labels["eks.amazonaws.com/compute-type"] == "auto" }) {
		return "the nodes of EKS Auto Mode serve DNS themselves"
	}
	given := handedOut(s)
	for _, ip := range given {
		if a, err := netip.ParseAddr(ip); err != nil || a.IsLinkLocalUnicast() || nearServices(s, a) {
			return ""
		}
	}
	if len(given) == 0 {
		return ""
	}
	return "the kubelets hand out " + strings.Join(given, ", ") + ", which is outside of the Services' addresses: DNS is served elsewhere"
}

// handedOut returns the nameservers that kubelets write into pods, each once.
func handedOut(s *facts.Snapshot) []string {
	var out []string
	for _, k := range s.Configz {
		out = append(out, k.ClusterDNS...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// nearServices tells whether an address may be one for Services. Their range is not
// known, but installers put the DNS Service beside the first of them.
func nearServices(s *facts.Snapshot, a netip.Addr) bool {
	bits := 16
	if a.Is6() {
		bits = 112
	}
	near, err := a.Prefix(bits)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(s.Services, func(svc *corev1.Service) bool {
		return slices.ContainsFunc(facts.ClusterIPs(svc), func(ip string) bool {
			b, err := netip.ParseAddr(ip)
			return err == nil && near.Contains(b)
		})
	})
}
