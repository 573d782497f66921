package workload

import (
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// IngressBackend finds Ingresses and HTTPRoutes that lead to a Service that cannot answer.
var IngressBackend = &checks.Check{
	ID:       "ingress-backend-missing",
	Title:    "Every Service that an Ingress or HTTPRoute leads to can answer",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/ingress/#the-ingress-resource",
	Needs:    []*facts.Source{facts.Ingresses, facts.HTTPRoutes, facts.Services, facts.EndpointSlices},
	MayUse:   []*facts.Source{facts.Pods, facts.Deployments, facts.StatefulSets},
	ByHand: []string{"kubectl -n NAMESPACE describe ingress INGRESS", "kubectl -n NAMESPACE describe httproute ROUTE",
		"kubectl -n NAMESPACE get services", "kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=SERVICE"},
	Run: findIngressBackends,
	Doc: `An Ingress, or an HTTPRoute of the Gateway API, names a Service and a port of it, in words that nothing proves. Where there is no
such Service, or no such port of it, or nobody behind it, whoever comes from outside gets an error of the controller: 503 or 500, with some 404.

**How it comes about**: the Service was renamed, or lives in another namespace (an Ingress reaches its own alone); the port is given by a name
that the Service does not use, or is the container's port instead of the Service's; the pods behind the Service are not Ready. What is
wrong with the Service itself is told by the checks of Services, above this.

A Service of type ExternalName has no endpoints and needs none. One whose workload was scaled to zero on purpose is left out.

**Cure**: give the Ingress the name and port of the Service as ` + "`kubectl get service`" + ` prints them, or bring the Service back.`,
}

func findIngressBackends(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, src := range []*facts.Source{facts.Ingresses, facts.HTTPRoutes} {
		young := youngOnes(s, src)
		told := map[[2]facts.Ref]bool{}
		for _, b := range s.Backends(src) {
			if young[b.From] || told[[2]facts.Ref{b.From, b.Service}] || outOfScope(s, b.Service.Namespace) {
				continue
			}
			why, shown := broken(s, b)
			if why == "" {
				continue
			}
			if svc := s.Service(b.Service.Namespace, b.Service.Name); svc != nil && s.Idle(svc) {
				continue
			}
			told[[2]facts.Ref{b.From, b.Service}] = true
			out = append(out, checks.Finding{
				Subject:  b.From,
				Places:   places(s, b),
				Message:  fmt.Sprintf("leads to %s, %s: who asks for it gets an error", b.Service, why),
				Evidence: []checks.Evidence{checks.Quote(b.From.String()+", "+b.Where, b.Service.Name+":"+b.PortText()), shown},
				Remedy:   fmt.Sprintf("Give %s a Service of its namespace, and a port that this Service has, or mend %s.", b.From, b.Service),
			})
		}
	}
	return out
}

// youngOnes are objects in the making, such as what an issuer of certificates puts up for
// a minute.
func youngOnes(s *facts.Snapshot, src *facts.Source) map[facts.Ref]bool {
	out := map[facts.Ref]bool{}
	note := func(namespace, name string, age bool) {
		if age {
			out[facts.Ref{Kind: src.Kind, Namespace: namespace, Name: name}] = true
		}
	}
	switch src {
	case facts.Ingresses:
		for _, o := range s.Ingresses {
			note(o.Namespace, o.Name, s.Taken.Sub(o.CreationTimestamp.Time) < patience || o.DeletionTimestamp != nil)
		}
	case facts.HTTPRoutes:
		for _, o := range s.HTTPRoutes {
			note(o.Namespace, o.Name, s.Taken.Sub(o.CreationTimestamp.Time) < patience || o.DeletionTimestamp != nil)
		}
	}
	return out
}
