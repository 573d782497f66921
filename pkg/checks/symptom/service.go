package symptom

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/workload"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// patience is how old a Service must be: its pods are made and pull their images first.
const patience = 3 * time.Minute

// ServiceNoEndpoints finds Services with a selector that no ready pod stands behind.
// Cluster DNS has a check of its own.
var ServiceNoEndpoints = &checks.Check{
	ID:       "service-no-endpoints",
	Title:    "Every Service with a selector has a ready endpoint",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#does-the-service-have-any-endpointslices",
	Needs:    []*facts.Source{facts.Services, facts.EndpointSlices},
	MayUse:   []*facts.Source{facts.Pods, facts.Deployments, facts.StatefulSets, facts.Configz},
	Explains: []*checks.Check{workload.IngressBackend, workload.Webhook, workload.APIService},
	ByHand: []string{"kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=SERVICE",
		"kubectl -n NAMESPACE describe service SERVICE"},
	Run: findServicesNoEndpoints,
	Doc: `A Service whose selector finds no ready pod has no endpoint: kube-proxy refuses connections to its
address. The selector may not match the pods' labels, the pods may not be Ready, or nothing runs at all. Services of
workloads that were scaled to zero or are done, those that publish addresses before readiness, and headless ones, which have
no address that could refuse anybody, are left out.

Cure: compare ` + "`kubectl describe service`" + ` (Selector, Endpoints) with ` + "`kubectl get pods --show-labels`" + `.`,
}

// DNSServiceNoEndpoints finds the cluster's DNS Service without a ready endpoint.
var DNSServiceNoEndpoints = &checks.Check{
	ID:       "dns-service-no-endpoints",
	Title:    "The DNS Service has a ready endpoint",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#are-dns-endpoints-exposed",
	Needs:    []*facts.Source{facts.SystemServices, facts.SystemEndpointSlices},
	MayUse:   []*facts.Source{facts.Configz, facts.Pods, facts.Nodes},
	When:     (*facts.Snapshot).DNSElsewhere,
	Explains: []*checks.Check{DNSDown, DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system get endpointslices -l kubernetes.io/service-name=kube-dns",
		"kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide"},
	Run: findDNSServiceNoEndpoints,
	Doc: `Pods ask the address of the DNS Service. Without a ready endpoint behind it every query is refused or
times out, in every pod. Either there is no endpoint at all (the selector matches nothing, or no pod runs), or only some that
are not ready (CoreDNS itself is ill). Endpoints that lack the port are another fault, dns-service-ports.

Cure: look at the pods of CoreDNS first, then at the Service's selector and ports.`,
}

func findServicesNoEndpoints(s *facts.Snapshot) []checks.Finding {
	dns := s.DNSServices()
	var out []checks.Finding
	for _, svc := range s.Services {
		if exempt(svc) || s.Taken.Sub(svc.CreationTimestamp.Time) < patience || slices.Contains(dns, svc) {
			continue
		}
		if ready, all := s.ReadyEndpoints(svc); ready == 0 && !s.Idle(svc) && !starting(s, svc) {
			out = append(out, noEndpoints(svc, all))
		}
	}
	return out
}

// starting tells whether a pod that the Service selects was made just now, as while a workload
// of one replica is updated: it may be about to serve.
func starting(s *facts.Snapshot, svc *corev1.Service) bool {
	return slices.ContainsFunc(s.Selected(svc.Namespace, svc.Spec.Selector), func(p *facts.Pod) bool {
		restarted := slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return c.Restarts > 0 })
		return p.Created != 0 && s.Taken.Sub(p.Created.Time()) < grace && !restarted
	})
}

// exempt tells whether no ready endpoint is what the Service's owner may want.
func exempt(svc *corev1.Service) bool {
	return len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName ||
		svc.Spec.ClusterIP == corev1.ClusterIPNone || svc.Spec.PublishNotReadyAddresses || svc.DeletionTimestamp != nil
}

func findDNSServiceNoEndpoints(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range s.DNSServices() {
		if svc.DeletionTimestamp != nil || s.Taken.Sub(svc.CreationTimestamp.Time) < grace {
			continue
		}
		if ready, all := s.ReadyEndpoints(svc); ready == 0 {
			out = append(out, noEndpoints(svc, all))
		}
	}
	return out
}

func noEndpoints(svc *corev1.Service, all int) checks.Finding {
	from := "EndpointSlices of " + facts.ServiceRef(svc).String()
	text := "no endpoint"
	if all > 0 {
		text = fmt.Sprintf("%d endpoints, none of them ready", all)
	}
	return checks.Finding{
		Subject:  facts.ServiceRef(svc),
		Message:  "has no ready endpoint",
		Evidence: []checks.Evidence{checks.Quote(from, text)},
		Remedy:   "Compare the Service's selector with the labels of the pods, and look whether the pods are Ready.",
	}
}
