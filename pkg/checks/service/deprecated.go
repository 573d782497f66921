package service

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ExternalIPs finds Services that claim addresses of others.
var ExternalIPs = &checks.Check{
	ID:       "service-external-ips",
	Title:    "No Service claims addresses by externalIPs",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service/#external-ips",
	Needs:    []*facts.Source{facts.Services},
	ByHand:   []string{"kubectl get services -A -o jsonpath='{range .items[?(@.spec.externalIPs)]}{.metadata.namespace}/{.metadata.name} {.spec.externalIPs}{\"\\n\"}{end}'"},
	Run:      findExternalIPs,
	Doc: `With spec.externalIPs a Service takes the traffic that comes to a node for these addresses, whoever they belong to: who may write a Service
can so take over the traffic of another (CVE-2020-8554). Nothing assigns or routes these addresses; they must lead to a node already. Kubernetes
1.37 calls the field deprecated, "and may no longer be implemented in some clusters".

**Cure**: a Service of type LoadBalancer (with MetalLB or kube-vip where there is no cloud), or a Gateway. Where the field stays, let an admission
policy say who may use which addresses.`,
}

func findExternalIPs(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range s.Services {
		if len(svc.Spec.ExternalIPs) == 0 || svc.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		out = append(out, checks.Finding{
			Subject:  facts.ServiceRef(svc),
			Message:  "takes addresses by externalIPs, which is deprecated",
			Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String()+", spec.externalIPs", strings.Join(svc.Spec.ExternalIPs, ", "))},
			Remedy:   "Use a Service of type LoadBalancer or a Gateway, before a cluster no longer implements externalIPs.",
		})
	}
	return out
}

// mirrored is who makes EndpointSlices of the Endpoints that somebody writes
// (k8s.io/kubernetes, pkg/controller/endpointslicemirroring).
const mirrored = "endpointslicemirroring-controller.k8s.io"

// EndpointsLegacy finds Services whose endpoints somebody writes in the old form.
var EndpointsLegacy = &checks.Check{
	ID:       "service-endpoints-legacy",
	Title:    "Endpoints are written as EndpointSlices",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/blog/2025/04/24/endpoints-deprecation/",
	Needs:    []*facts.Source{facts.Services, facts.EndpointSlices},
	ByHand:   []string{"kubectl get endpointslices -A -l endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io"},
	Run:      findEndpointsLegacy,
	Doc: `Somebody, a person or a controller, writes Endpoints for this Service, and Kubernetes copies them into EndpointSlices, which is what kube-proxy
and CoreDNS read. The copy holds at most 1,000 addresses and one IP family, and knows nothing of endpoints that are ending. Endpoints are
deprecated since Kubernetes 1.33; they will not be removed.

**Cure**: write an EndpointSlice with the label kubernetes.io/service-name; bring the controller that writes Endpoints up to date.`,
}

func findEndpointsLegacy(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range s.Services {
		if len(svc.Spec.Selector) > 0 {
			continue
		}
		for _, es := range s.SlicesOf(svc) {
			if es.ManagedBy == mirrored {
				out = append(out, checks.Finding{
					Subject:  facts.ServiceRef(svc),
					Message:  "gets its endpoints from Endpoints that somebody writes, which is deprecated",
					Evidence: []checks.Evidence{checks.Quote(es.Ref().String()+", managed-by", es.ManagedBy)},
					Remedy:   "Write an EndpointSlice in place of the Endpoints, or bring the controller that writes them up to date.",
				})
				break
			}
		}
	}
	return out
}

// overloaded is how many times its share of the traffic a zone's endpoints may take before
// that is told. Three: with fewer endpoints than zones twice is nothing unusual.
const overloaded = 3

// Topology finds Services whose traffic goes unevenly because it stays in its zone.
var Topology = &checks.Check{
	ID:       "service-topology",
	Title:    "Traffic that stays in its zone finds its share of endpoints there",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-distribution",
	Needs:    []*facts.Source{facts.Services, facts.EndpointSlices, facts.Nodes},
	ByHand: []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.trafficDistribution} {.metadata.annotations}'",
		"kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=SERVICE -o jsonpath='{range .items[*].endpoints[*]}{.addresses} {.zone}{\"\\n\"}{end}'"},
	Run: findTopology,
	Doc: `With trafficDistribution PreferSameZone (before: PreferClose) clients use the endpoints of their own zone alone, as long as there is
one that is ready. Nothing evens that out: where a zone has many nodes and few of the endpoints, these take several times their share
while others are idle. Told from three times on, taking the clients to be spread as the nodes are.

As a note it is told that a Service uses the old spelling PreferClose, or the annotation topology-aware-hints, which topology-mode has replaced.

**Cure**: spread the pods over the zones (topologySpreadConstraints), run more of them, or leave trafficDistribution out.`,
}

func findTopology(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	var nodes map[string]int
	for _, svc := range s.Services {
		if old, instead := oldSpelling(svc); old != "" {
			out = append(out, checks.Finding{
				Subject: facts.ServiceRef(svc), Severity: checks.Info,
				Message:  fmt.Sprintf("says %s, which is deprecated", old),
				Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String(), old)},
				Remedy:   fmt.Sprintf("Write %s instead.", instead),
			})
		}
		if d := svc.Spec.TrafficDistribution; d == nil || *d != corev1.ServiceTrafficDistributionPreferSameZone && *d != corev1.ServiceTrafficDistributionPreferClose {
			continue
		}
		if nodes == nil {
			nodes = zones(s)
		}
		if f := uneven(s, svc, nodes); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

func oldSpelling(svc *corev1.Service) (old, instead string) {
	if d := svc.Spec.TrafficDistribution; d != nil && *d == corev1.ServiceTrafficDistributionPreferClose {
		return "trafficDistribution: PreferClose", "PreferSameZone, which means the same,"
	}
	if svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints] != "" {
		return "annotation " + corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode + ", or trafficDistribution,"
	}
	return "", ""
}

// zones counts the nodes of each zone.
func zones(s *facts.Snapshot) map[string]int {
	out := map[string]int{}
	for _, n := range s.Nodes {
		if zone := n.Labels[corev1.LabelTopologyZone]; zone != "" {
			out[zone]++
		}
	}
	return out
}

func uneven(s *facts.Snapshot, svc *corev1.Service, nodes map[string]int) *checks.Finding {
	ready, total, all := map[string]int{}, 0, 0
	for _, es := range s.SlicesOf(svc) {
		for i := range es.Endpoints {
			n := s.Node(es.Endpoints[i].Node)
			if n == nil || !es.Endpoints[i].Ready {
				continue
			}
			ready[n.Labels[corev1.LabelTopologyZone]]++
			total++
		}
	}
	for _, n := range nodes {
		all += n
	}
	worst, factor := "", 0.0
	for zone, n := range ready {
		if share := float64(nodes[zone]) / float64(all) / (float64(n) / float64(total)); nodes[zone] > 0 && (share > factor || share == factor && zone < worst) {
			worst, factor = zone, share
		}
	}
	if len(ready) < 2 || factor < overloaded {
		return nil
	}
	return &checks.Finding{
		Subject: facts.ServiceRef(svc),
		Message: "keeps traffic in its zone, and the endpoints of one zone take several times their share",
		Evidence: []checks.Evidence{checks.Quote("EndpointSlices of "+facts.ServiceRef(svc).String()+" and Nodes",
			fmt.Sprintf("zone %s: %d of %d nodes, %d of %d ready endpoints", worst, nodes[worst], all, ready[worst], total))},
		Remedy: "Spread the pods over the zones by topologySpreadConstraints, or leave trafficDistribution out.",
	}
}
