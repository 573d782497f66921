package service

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Selectorless finds what is wrong with endpoints that others than Kubernetes make.
var Selectorless = &checks.Check{
	ID:       "service-selectorless",
	Title:    "Endpoints made by hand fit their Service",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors",
	Needs:    []*facts.Source{facts.Services, facts.EndpointSlices, facts.Pods},
	ByHand: []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.ports}'",
		"kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=SERVICE -o yaml"},
	Run: findSelectorless,
	Doc: `For a Service without a selector somebody else makes the endpoints: a person, for a database outside, or an operator. Nothing
proves them, and the service proxy passes over what does not fit: a port counts only where its name and its protocol are those of the
Service's port (no name counts as a name); a slice belongs to the Service that its label kubernetes.io/service-name names; an address
that is another Service's leads nowhere, since it is translated once only.

**How it comes about**: the Service's port has a name and that of the Endpoints has none (kubernetes/kubernetes#79732); the label was
forgotten, or has a slip; the pod behind an address was made anew and has another address.

That such a Service has no endpoint at all may be meant so, and is not told.

**Cure**: give the port of the Endpoints or EndpointSlice the Service's name and protocol; correct the label; use the address of a pod
or a machine in place of a Service's (or a Service of type ExternalName, which may lead to another Service); better still, a selector.`,
}

func findSelectorless(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	virtual := serviceIPs(s)
	unbound := unboundSlices(s)
	for _, svc := range s.Services {
		if !handMade(svc) || s.Taken.Sub(svc.CreationTimestamp.Time) < grace {
			continue
		}
		found := s.SlicesOf(svc)
		if len(found) == 0 {
			out = append(out, mislabelled(svc, unbound[svc.Namespace])...)
			continue
		}
		out = append(out, unnamed(s, svc)...)
		for _, es := range found {
			out = append(out, misled(s, svc, es, virtual)...)
		}
	}
	return out
}

// handMade tells whether others make the Service's endpoints, and the service proxy uses
// them. That of the API servers has a check of its own.
func handMade(svc *corev1.Service) bool {
	return len(svc.Spec.Selector) == 0 && svc.Spec.Type != corev1.ServiceTypeExternalName && svc.DeletionTimestamp == nil &&
		svc.Spec.ClusterIP != corev1.ClusterIPNone && (svc.Namespace != metav1.NamespaceDefault || svc.Name != apiService)
}

// unserved returns the ports of a Service with ready endpoints that none of these has, as
// kube-proxy looks for them (k8s.io/kubernetes, pkg/proxy/endpointslicecache.go).
func unserved(s *facts.Snapshot, svc *corev1.Service) []corev1.ServicePort {
	type key struct {
		name     string
		protocol corev1.Protocol
	}
	has := map[key]bool{}
	for _, es := range s.SlicesOf(svc) {
		if !slices.ContainsFunc(es.Endpoints, func(e facts.Endpoint) bool { return e.Ready }) {
			continue
		}
		for _, p := range es.Ports {
			if p.Port != nil && *p.Port != 0 {
				has[key{portName(p), endpointProtocol(p)}] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(svc.Spec.Ports), func(p corev1.ServicePort) bool { return has[key{p.Name, protocol(p.Protocol)}] })
}

// unnamed finds ports that no endpoint has.
func unnamed(s *facts.Snapshot, svc *corev1.Service) []checks.Finding {
	if ready, _ := s.ReadyEndpoints(svc); ready == 0 {
		return nil
	}
	var out []checks.Finding
	for _, port := range unserved(s, svc) {
		want := fmt.Sprintf("name %q", port.Name)
		if port.Name == "" {
			want = "no name"
		}
		out = append(out, checks.Finding{
			Subject: facts.ServiceRef(svc),
			Message: fmt.Sprintf("leads port %s nowhere: its endpoints, made by hand, have no port with that name and protocol", portText(port)),
			Evidence: []checks.Evidence{
				checks.Quote(facts.ServiceRef(svc).String()+", port", portText(port)),
				checks.Quote("EndpointSlices of "+facts.ServiceRef(svc).String()+", ports", slicePorts(s, svc)),
			},
			Remedy: fmt.Sprintf("In the Endpoints or EndpointSlice of %s/%s, give the port %s and protocol %s.", svc.Namespace, svc.Name, want, protocol(port.Protocol)),
		})
	}
	return out
}

// misled finds ready endpoints of a slice that lead to another Service's address, or
// past the pod that they name.
func misled(s *facts.Snapshot, svc *corev1.Service, es *facts.EndpointSlice, virtual map[string]*corev1.Service) []checks.Finding {
	var out []checks.Finding
	for i := range es.Endpoints {
		e := &es.Endpoints[i]
		if !e.Ready {
			continue
		}
		f := checks.Finding{Subject: facts.ServiceRef(svc), Evidence: []checks.Evidence{checks.Quote(es.Ref().String()+", endpoint", endpointText(e))}}
		p := s.Pod(es.Namespace, e.Pod)
		switch to := virtual[e.Address]; {
		case to != nil:
			f.Message = fmt.Sprintf("leads to %s, the address of %s, where the service proxy does not go on", e.Address, facts.ServiceRef(to))
			f.Remedy = fmt.Sprintf("Name the addresses of pods in %s, or make it a Service of type ExternalName for %s.%s.svc and the cluster's domain.", es.Ref(), to.Name, to.Namespace)
		case p != nil && moved(s, p, e.Address):
			f.Message = fmt.Sprintf("leads to %s for Pod %s, which has another address", e.Address, p.Name)
			f.Evidence = append(f.Evidence, checks.Quote(p.Ref().String()+", podIPs", strings.Join(p.IPs(), ", ")))
			f.Remedy = fmt.Sprintf("Set the endpoint in %s to %s, or give the Service a selector, so that Kubernetes keeps its endpoints.", es.Ref(), p.IPs()[0])
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}

// moved tells whether a pod that has been there for a while has other addresses.
func moved(s *facts.Snapshot, p *facts.Pod, ip string) bool {
	return len(p.IPs()) > 0 && !p.Deleting && s.Taken.Sub(p.Created.Time()) >= grace &&
		!slices.ContainsFunc(p.IPs(), func(own string) bool { return facts.SameIP(own, ip) })
}

// mislabelled finds the one slice that was meant for a Service without any, and belongs
// to none.
func mislabelled(svc *corev1.Service, unbound []*facts.EndpointSlice) []checks.Finding {
	var found []*facts.EndpointSlice
	for _, es := range unbound {
		namesake := es.Name == svc.Name || strings.HasPrefix(es.Name, svc.Name+"-")
		if len(es.Endpoints) > 0 && (es.Service == "" && namesake || es.Service != "" && slip(es.Service, svc.Name)) {
			found = append(found, es)
		}
	}
	if len(found) != 1 {
		return nil
	}
	es := found[0]
	says := "the label " + discoveryv1.LabelServiceName + " is missing"
	if es.Service != "" {
		says = discoveryv1.LabelServiceName + "=" + es.Service
	}
	return []checks.Finding{{
		Subject:  facts.ServiceRef(svc),
		Message:  "has no endpoint: the EndpointSlice that seems meant for it is not labelled so",
		Evidence: []checks.Evidence{checks.Quote(es.Ref().String(), says)},
		Remedy: checks.Command("Label the slice: kubectl -n %s label --overwrite endpointslice %s %s=%s",
			es.Namespace, es.Name, discoveryv1.LabelServiceName, svc.Name),
	}}
}

// unboundSlices returns the slices that belong to no Service, by namespace.
func unboundSlices(s *facts.Snapshot) map[string][]*facts.EndpointSlice {
	out := map[string][]*facts.EndpointSlice{}
	for _, es := range s.EndpointSlices {
		if es.Service == "" || s.Service(es.Namespace, es.Service) == nil {
			out[es.Namespace] = append(out[es.Namespace], es)
		}
	}
	return out
}

// serviceIPs returns whose each virtual address is.
func serviceIPs(s *facts.Snapshot) map[string]*corev1.Service {
	out := make(map[string]*corev1.Service, len(s.Services))
	for _, svc := range s.Services {
		for _, ip := range facts.ClusterIPs(svc) {
			out[ip] = svc
		}
	}
	return out
}

// slicePorts lists the ports of a Service's endpoints as name/protocol number.
func slicePorts(s *facts.Snapshot, svc *corev1.Service) string {
	var out []string
	for _, es := range s.SlicesOf(svc) {
		for _, p := range es.Ports {
			number := int32(0)
			if p.Port != nil {
				number = *p.Port
			}
			text := fmt.Sprintf("%s %d/%s", cmp.Or(portName(p), "unnamed"), number, endpointProtocol(p))
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

func endpointText(e *facts.Endpoint) string {
	if e.Pod == "" {
		return e.Address
	}
	return e.Address + ", Pod " + e.Pod
}

// portName fills in what the API server would.
func portName(p discoveryv1.EndpointPort) string {
	if p.Name == nil {
		return ""
	}
	return *p.Name
}

func endpointProtocol(p discoveryv1.EndpointPort) corev1.Protocol {
	if p.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return protocol(*p.Protocol)
}
