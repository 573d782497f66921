// Package workload holds the checks for what stands on Services and on DNS: Ingresses and
// routes, webhooks, aggregated APIs, and pods whose own settings keep them from resolving
// names.
package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// patience is how old an object must be: what belongs together is applied one after the
// other, and pods pull their images first.
const patience = 3 * time.Minute

// Checks lists the package's checks.
func Checks() []*checks.Check {
	return []*checks.Check{IngressBackend, Webhook, APIService, HostNetworkDNS, DNSConfig, Subdomain}
}

// broken says what keeps a backend from answering, with what shows it; "" where nothing
// that the API knows does.
func broken(s *facts.Snapshot, b facts.Backend) (why string, shown checks.Evidence) {
	svc := s.Service(b.Service.Namespace, b.Service.Name)
	if svc == nil {
		return "which does not exist", checks.Quote("Services of namespace "+b.Service.Namespace, services(s, b.Service.Namespace))
	}
	if svc.DeletionTimestamp != nil || s.Taken.Sub(svc.CreationTimestamp.Time) < patience {
		return "", shown
	}
	if !offers(svc, b) {
		return fmt.Sprintf("whose ports %s is not among", b.PortText()), checks.Quote(b.Service.String()+", spec.ports", ports(svc))
	}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		return "", shown
	}
	if ready, all := s.ReadyEndpoints(svc); ready == 0 {
		return "which has no ready endpoint", checks.Quote("EndpointSlices of "+b.Service.String(), endpoints(all))
	}
	return "", shown
}

// places returns the Service of a backend, if there is one: what is wrong with it is wrong
// with that backend, and with no other of the same object.
func places(s *facts.Snapshot, b facts.Backend) []facts.Ref {
	if s.Service(b.Service.Namespace, b.Service.Name) == nil {
		return nil
	}
	return []facts.Ref{b.Service}
}

// offers tells whether a Service has the port that a backend goes by. What leads out of
// the cluster by a name takes any.
func offers(svc *corev1.Service, b facts.Backend) bool {
	if svc.Spec.Type == corev1.ServiceTypeExternalName || b.Port == 0 && b.Name == "" {
		return true
	}
	return slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		return b.Name != "" && p.Name == b.Name || b.Name == "" && p.Port == b.Port
	})
}

func ports(svc *corev1.Service) string {
	var out []string
	for _, p := range svc.Spec.Ports {
		text := fmt.Sprintf("%d/%s", p.Port, cmp.Or(p.Protocol, corev1.ProtocolTCP))
		if p.Name != "" {
			text = p.Name + " " + text
		}
		out = append(out, text)
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

// most is how many names a quotation holds.
const most = 8

func services(s *facts.Snapshot, namespace string) string {
	var out []string
	for _, svc := range s.Services {
		if svc.Namespace == namespace {
			out = append(out, svc.Name)
		}
	}
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more", len(out)-most))
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

func endpoints(all int) string {
	if all == 0 {
		return "no endpoint"
	}
	return fmt.Sprintf("%d endpoints, none of them ready", all)
}

// outOfScope tells whether a Service's namespace was not read.
func outOfScope(s *facts.Snapshot, namespace string) bool {
	return s.Scope != "" && s.Scope != namespace && !slices.Contains(facts.SystemNamespaces(), namespace)
}
