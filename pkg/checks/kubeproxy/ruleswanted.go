package kubeproxy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// front is where traffic of a Service is caught.
type front struct{ proto, at string }

// wanted is what a front must lead to.
type wanted struct {
	svc  facts.Ref
	kind string
	ends map[netip.AddrPort]bool
	some bool // it may lead to a part of them
}

// wantedFronts returns what the Services ask for. Services that another proxy serves, and
// those without ready endpoints, ask for nothing that must be there.
func wantedFronts(s *facts.Snapshot) map[front]wanted {
	out := map[front]wanted{}
	for _, svc := range s.Services {
		if otherProxy(svc) {
			continue
		}
		ref := facts.ServiceRef(svc)
		for i := range svc.Spec.Ports {
			p := &svc.Spec.Ports[i]
			proto := strings.ToLower(string(p.Protocol))
			if proto == "" {
				proto = "tcp"
			}
			for _, text := range facts.ClusterIPs(svc) {
				ip, err := netip.ParseAddr(text)
				if err != nil {
					continue
				}
				ends := endsOf(s, svc, p, ip.Is4())
				out[front{proto, netip.AddrPortFrom(ip, uint16(p.Port)).String()}] = wanted{ref, "cluster", ends, partly(svc, svc.Spec.InternalTrafficPolicy != nil && *svc.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal)}
				if p.NodePort != 0 { // of both families, which its rules do not tell apart
					at := front{proto, "nodeport:" + strconv.Itoa(int(p.NodePort))}
					ends = maps.Clone(ends)
					maps.Copy(ends, out[at].ends)
					out[at] = wanted{ref, "nodeport", ends, partly(svc, svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal)}
				}
			}
		}
	}
	return out
}

// otherProxy tells whether kube-proxy has nothing to do with a Service.
func otherProxy(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Labels["service.kubernetes.io/service-proxy-name"] != ""
}

// partly tells whether a node's rules may leave endpoints out on purpose.
func partly(svc *corev1.Service, local bool) bool {
	mode := svc.Annotations["service.kubernetes.io/topology-mode"] + svc.Annotations["service.kubernetes.io/topology-aware-hints"]
	return local || svc.Spec.TrafficDistribution != nil || mode != "" && !strings.EqualFold(mode, "disabled")
}

// endsOf returns the ready endpoints of a Service's port, of one family.
func endsOf(s *facts.Snapshot, svc *corev1.Service, port *corev1.ServicePort, v4 bool) map[netip.AddrPort]bool {
	out := map[netip.AddrPort]bool{}
	for _, slice := range s.SlicesOf(svc) {
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name == nil && port.Name != "" || p.Name != nil && *p.Name != port.Name {
				continue
			}
			for i := range slice.Endpoints {
				e := &slice.Endpoints[i]
				if ip, err := netip.ParseAddr(e.Address); err == nil && e.Ready && ip.Is4() == v4 {
					out[netip.AddrPortFrom(ip, uint16(*p.Port))] = true
				}
			}
		}
	}
	return out
}

// anyFronts maps what a Service catches to the Service, whatever state that is in.
func anyFronts(s *facts.Snapshot) map[string]facts.Ref {
	out := map[string]facts.Ref{}
	for _, svc := range s.Services {
		ref := facts.ServiceRef(svc)
		for _, ip := range slices.Concat(facts.ClusterIPs(svc), svc.Spec.ExternalIPs) {
			out[ip] = ref
		}
		for _, in := range svc.Status.LoadBalancer.Ingress {
			out[in.IP] = ref
		}
		for _, p := range svc.Spec.Ports {
			out[fmt.Sprintf("nodeport:%d", p.NodePort)] = ref
		}
	}
	return out
}

// serviceAt names the Service of a front; one that is gone stands by its address.
func serviceAt(services map[string]facts.Ref, at front) facts.Ref {
	if ref, found := services[at.at]; found {
		return ref
	}
	if a, err := netip.ParseAddrPort(at.at); err == nil {
		if ref, found := services[a.Addr().String()]; found {
			return ref
		}
	}
	return facts.Ref{Kind: "Service", Name: at.at}
}

// anyEnds are all addresses that EndpointSlices name, ready or not: kube-proxy leads to
// terminating endpoints where there are no others.
func anyEnds(s *facts.Snapshot) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, slice := range s.EndpointSlices {
		for i := range slice.Endpoints {
			if ip, err := netip.ParseAddr(slice.Endpoints[i].Address); err == nil {
				out[ip] = true
			}
		}
	}
	return out
}

// unsettled returns the part of what was read of the nodes that says why a Service's rules
// cannot be held against its endpoints, "" where they can. A front of no Service may be that
// of a new one, where there is one that the snapshot does not have.
func unsettled(s *facts.Snapshot, svc facts.Ref) string {
	if s.Gaps[facts.Files.Name+"/"+host.ChangedAny] != "" {
		return host.ChangedAny
	}
	if svc.Namespace != "" {
		if key := host.Changed(svc); s.Gaps[facts.Files.Name+"/"+key] != "" {
			return key
		}
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(s.Gaps)) {
		key, ofNode := strings.CutPrefix(key, facts.Files.Name+"/")
		if other, found := host.ChangedService(key); ofNode && found && s.Service(other.Namespace, other.Name) == nil {
			return key
		}
	}
	return ""
}

// certainly parts what is wrong for certain from what may have been right when it was read,
// of which it returns the parts that say so.
func certainly(s *facts.Snapshot, lacks []lack) (certain []lack, parts []string) {
	for _, l := range lacks {
		if key := unsettled(s, l.svc); key != "" {
			parts = append(parts, key)
		} else {
			certain = append(certain, l)
		}
	}
	return certain, parts
}
