package coredns

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ServiceType finds settings of the DNS Service with which questions are lost or pinned.
var ServiceType = &checks.Check{
	ID:       "dns-service-type",
	Title:    "The DNS Service passes questions on from every node to any server",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service-traffic-policy/",
	Needs:    []*facts.Source{facts.SystemServices, facts.SystemEndpointSlices, facts.Nodes},
	MayUse:   []*facts.Source{facts.Configz},
	Explains: []*checks.Check{symptom.DNSServiceNoEndpoints, symptom.DNSDown, symptom.DNSProbeCluster},
	ByHand:   []string{"kubectl -n kube-system get service kube-dns -o yaml"},
	Run:      findServiceType,
	Doc: `The DNS Service is an ordinary Service of type ClusterIP. A few of its settings break it without a trace in any status:

* ` + "`internalTrafficPolicy: Local`" + ` sends a question only to servers on the same node. On nodes without one, no name resolves at all. It is
  meant for DNS servers that run on every node (a DaemonSet).
* the label ` + "`service.kubernetes.io/service-proxy-name`" + ` tells kube-proxy to leave the Service alone: its address leads nowhere, unless the
  proxy of that name runs.
* ` + "`type: ExternalName`" + ` has no address at all.
* ` + "`sessionAffinity: ClientIP`" + ` pins a pod to one server for three hours (` + "`timeoutSeconds`" + `): load is uneven, and new replicas stay idle.

It comes about by a template for Services of applications, by an edit that was meant to keep traffic in a zone, or by a service mesh.

Cure: ` + "`internalTrafficPolicy: Cluster`, `sessionAffinity: None`" + `, no such label. To keep questions near, set
` + "`trafficDistribution: PreferSameNode`" + ` or run NodeLocal DNSCache: both fall back to other nodes.`,
}

func findServiceType(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range s.DNSServices() {
		ref := facts.ServiceRef(svc)
		if svc.Spec.Type == corev1.ServiceTypeExternalName {
			out = append(out, checks.Finding{Subject: ref, Severity: checks.Error,
				Message:  "is of type ExternalName: it has no address that pods could ask",
				Evidence: []checks.Evidence{checks.Quote(ref.String(), "spec.type: ExternalName, externalName: "+svc.Spec.ExternalName)},
				Remedy:   "Delete it and make it again with type ClusterIP, clusterIP set to the clusterDNS of the kubelets, and the selector of the CoreDNS pods."})
			continue
		}
		if ready, _ := s.ReadyEndpoints(svc); ready == 0 {
			continue // what is wrong is nearer to the servers, and nothing here would explain it
		}
		if f, found := leftAlone(svc); found {
			out = append(out, f)
		}
		if f, found := localOnly(s, svc); found {
			out = append(out, f)
		}
		if svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
			out = append(out, checks.Finding{Subject: ref, Severity: checks.Info,
				Message:  "pins each pod to one server: load is uneven, and new replicas stay idle",
				Evidence: []checks.Evidence{checks.Quote(ref.String(), "spec.sessionAffinity: ClientIP")},
				Remedy:   patch(svc, `{"spec":{"sessionAffinity":"None"}}`)})
		}
	}
	return out
}

// leftAlone finds the label with which kube-proxy does not see a Service at all
// (k8s.io/kubernetes cmd/kube-proxy/app/server.go).
func leftAlone(svc *corev1.Service) (checks.Finding, bool) {
	const label = "service.kubernetes.io/service-proxy-name"
	by, found := svc.Labels[label]
	return checks.Finding{Subject: facts.ServiceRef(svc),
		Message:  "is left alone by kube-proxy: only a proxy called " + by + " would serve its address",
		Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String()+", label", label+": "+by)},
		Remedy:   checks.Command("Unless that proxy runs on every node: kubectl -n %s label service %s %s-", svc.Namespace, svc.Name, label),
	}, found
}

// localOnly finds nodes from which a Service with internalTrafficPolicy Local leads to no
// server.
func localOnly(s *facts.Snapshot, svc *corev1.Service) (f checks.Finding, found bool) {
	if svc.Spec.InternalTrafficPolicy == nil || *svc.Spec.InternalTrafficPolicy != corev1.ServiceInternalTrafficPolicyLocal {
		return f, false
	}
	serves := map[string]bool{}
	for _, es := range s.SlicesOf(svc) {
		for i := range es.Endpoints {
			if es.Endpoints[i].Ready {
				serves[es.Endpoints[i].Node] = true
			}
		}
	}
	if serves[""] {
		return f, false // it is not known where
	}
	var without []string
	for _, n := range s.LinuxNodes() {
		if c := facts.NodeReady(n); !serves[n.Name] && c != nil && c.Status == corev1.ConditionTrue {
			without = append(without, n.Name)
			f.Places = append(f.Places, facts.NodeRef(n.Name))
		}
	}
	if len(without) == 0 {
		return f, false
	}
	few := strings.Join(without[:min(len(without), 3)], ", ")
	if len(without) > 3 {
		few = fmt.Sprintf("%s and %d more", few, len(without)-3)
	}
	f.Subject, f.Severity = facts.ServiceRef(svc), checks.Error
	f.Message = "sends questions only to servers on the same node, and not every node has one: there no name resolves"
	f.Evidence = []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String(), "spec.internalTrafficPolicy: Local"),
		checks.Quote("EndpointSlices of "+facts.ServiceRef(svc).String(), "no ready endpoint on "+few)}
	f.Remedy = patch(svc, `{"spec":{"internalTrafficPolicy":"Cluster"}}`)
	return f, true
}

func patch(svc *corev1.Service, patch string) string {
	return checks.Command("kubectl -n %s patch service %s -p %s", svc.Namespace, svc.Name, patch)
}
