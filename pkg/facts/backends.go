package facts

import (
	"fmt"
	"slices"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Backend is a Service that something sends traffic to which is not a pod: an Ingress, an
// HTTPRoute, a webhook, an aggregated API.
type Backend struct {
	From    Ref
	Where   string // in From: "rule shop.example.com/cart", "webhook pods.example.com"
	Service Ref
	Port    int32  // of the Service; 0 where it goes by PortName, or where all ports are meant
	Name    string // of the Service's port

	// Required tells of a webhook that the API server refuses what it could not ask it for.
	Required bool
}

// PortText writes the port as kubectl does.
func (b Backend) PortText() string {
	if b.Name != "" {
		return b.Name
	}
	return strconv.Itoa(int(b.Port))
}

// Backends returns the Services that objects of a source send traffic to, in the order of
// the objects.
func (s *Snapshot) Backends(src *Source) []Backend {
	var out []Backend
	switch src {
	case Ingresses:
		for _, in := range s.Ingresses {
			out = append(out, ingressBackends(in)...)
		}
	case HTTPRoutes:
		for _, r := range s.HTTPRoutes {
			out = append(out, routeBackends(r)...)
		}
	case APIServices:
		for _, a := range s.APIServices {
			if svc := a.Spec.Service; svc != nil {
				out = append(out, Backend{From: Ref{Kind: APIServices.Kind, Name: a.Name}, Where: "spec.service",
					Service: Ref{"Service", svc.Namespace, svc.Name}, Port: portOr443(svc.Port)})
			}
		}
	case ValidatingWebhooks:
		for _, c := range s.ValidatingWebhooks {
			for i := range c.Webhooks {
				h := &c.Webhooks[i]
				out = append(out, webhookBackends(Ref{Kind: src.Kind, Name: c.Name}, h.Name, &h.ClientConfig, h.FailurePolicy)...)
			}
		}
	case MutatingWebhooks:
		for _, c := range s.MutatingWebhooks {
			for i := range c.Webhooks {
				h := &c.Webhooks[i]
				out = append(out, webhookBackends(Ref{Kind: src.Kind, Name: c.Name}, h.Name, &h.ClientConfig, h.FailurePolicy)...)
			}
		}
	}
	return out
}

func ingressBackends(in *networkingv1.Ingress) []Backend {
	from := Ref{Ingresses.Kind, in.Namespace, in.Name}
	var out []Backend
	add := func(where string, b *networkingv1.IngressBackend) {
		if b != nil && b.Service != nil {
			out = append(out, Backend{From: from, Where: where, Service: Ref{"Service", in.Namespace, b.Service.Name}, Port: b.Service.Port.Number, Name: b.Service.Port.Name})
		}
	}
	add("spec.defaultBackend", in.Spec.DefaultBackend)
	for i := range in.Spec.Rules {
		rule := &in.Spec.Rules[i]
		if rule.HTTP == nil {
			continue
		}
		for j := range rule.HTTP.Paths {
			add("rule "+rule.Host+rule.HTTP.Paths[j].Path, &rule.HTTP.Paths[j].Backend)
		}
	}
	return out
}

func routeBackends(r *gatewayv1.HTTPRoute) []Backend {
	var out []Backend
	for i := range r.Spec.Rules {
		for _, ref := range r.Spec.Rules[i].BackendRefs {
			if ref.Kind != nil && *ref.Kind != "Service" || ref.Group != nil && *ref.Group != "" {
				continue
			}
			b := Backend{From: Ref{HTTPRoutes.Kind, r.Namespace, r.Name}, Where: fmt.Sprintf("spec.rules[%d].backendRefs", i), Service: Ref{"Service", r.Namespace, string(ref.Name)}}
			if ref.Namespace != nil {
				b.Service.Namespace = string(*ref.Namespace)
			}
			if ref.Port != nil {
				b.Port = *ref.Port
			}
			out = append(out, b)
		}
	}
	return out
}

func webhookBackends(from Ref, name string, to *admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType) []Backend {
	if to.Service == nil {
		return nil
	}
	return []Backend{{
		From: from, Where: "webhook " + name, Service: Ref{"Service", to.Service.Namespace, to.Service.Name}, Port: portOr443(to.Service.Port),
		Required: policy == nil || *policy == admissionv1.Fail,
	}}
}

// portOr443 fills in the API's default.
func portOr443(port *int32) int32 {
	if port == nil {
		return 443
	}
	return *port
}

// Idle tells whether a Service stands before a workload that was scaled to zero, or one
// whose pods all ended: then it is meant to have no endpoint.
func (s *Snapshot) Idle(svc *corev1.Service) bool {
	for _, d := range s.Deployments {
		if d.Namespace == svc.Namespace && d.Spec.Replicas != nil && *d.Spec.Replicas == 0 && Matches(svc.Spec.Selector, d.Spec.Template.Labels) {
			return true
		}
	}
	for _, d := range s.StatefulSets {
		if d.Namespace == svc.Namespace && d.Spec.Replicas != nil && *d.Spec.Replicas == 0 && Matches(svc.Spec.Selector, d.Spec.Template.Labels) {
			return true
		}
	}
	pods := s.Selected(svc.Namespace, svc.Spec.Selector)
	return len(pods) > 0 && !slices.ContainsFunc(pods, func(p *Pod) bool { return !p.Finished() })
}
