package service

import (
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// recent is how old a complaint of the API server may be: it looks every three minutes,
// and repeats itself.
const recent = time.Hour

// IPRange finds Services whose address the API server does not hold for them.
var IPRange = &checks.Check{
	ID:       "service-ip-range",
	Title:    "The address of every Service is its own and in the cluster's range",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/",
	Needs:    []*facts.Source{facts.Services, facts.Events},
	ByHand: []string{"kubectl get events -A --field-selector reason=ClusterIPOutOfRange",
		"kubectl get events -A --field-selector reason=ClusterIPAlreadyAllocated", "kubectl get servicecidrs", "kubectl -n NAMESPACE get service SERVICE -o yaml"},
	Run: findIPRange,
	Doc: `The API server gives every Service an address of the cluster's Service range (--service-cluster-ip-range, and ServiceCIDRs) and holds
it for that Service. Every three minutes it compares what it holds with the Services, and complains in an event about what it cannot
put right.

**How it comes about**: the range was changed while Services were there; etcd was restored from a backup, or Services were written into it
by hand; a ServiceCIDR was taken away.

An address outside the range (ClusterIPOutOfRange) goes on working, but nothing keeps a machine or a pod from getting the same, and rules
of network plugins and firewalls for Services do not count it in: a warning. One that two Services have (ClusterIPAlreadyAllocated), or
of a family that the cluster no longer has (ClusterIPNotValid), leads wrong.

**Cure**: make the Service anew without clusterIP, so that it gets one of the range; its clients find it by its name. Or add a
ServiceCIDR for the old range (Kubernetes 1.33 and later).`,
}

// NodePortRange finds Services whose node port the API server does not hold for them.
var NodePortRange = &checks.Check{
	ID:       "service-nodeport-range",
	Title:    "The node port of every Service is its own and in the cluster's range",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport",
	Needs:    []*facts.Source{facts.Services, facts.Events},
	ByHand: []string{"kubectl get events -A --field-selector reason=PortOutOfRange", "kubectl get events -A --field-selector reason=PortAlreadyAllocated",
		"kubectl get services -A -o jsonpath='{range .items[*]}{.metadata.namespace}/{.metadata.name} {.spec.ports[*].nodePort}{\"\\n\"}{end}'"},
	Run: findNodePortRange,
	Doc: `The API server gives every node port from one range (--service-node-port-range, 30000 to 32767 unless set) and holds it for its Service.
Every three minutes it compares what it holds with the Services, and complains in an event about what it cannot put right.

**How it comes about**: the range was changed while Services were there; etcd was restored from a backup, or Services were written into it by hand.

A port outside the range (PortOutOfRange) goes on working; a program of the node may take the same. Of two Services with the same port
(PortAlreadyAllocated) one gets the other's connections, which is an error.

**Cure**: take nodePort out of the Service's port, so that it gets another one, and tell the clients; or widen the range again.`,
}

// complaint is a reason of an event, and what it means.
type complaint struct {
	reason, message, remedy string
	severity                checks.Severity
}

func findIPRange(s *facts.Snapshot) []checks.Finding {
	const anew = "Make the Service anew without clusterIP and clusterIPs, so that it gets an address of the range."
	return complained(s, facts.ClusterIPs, []complaint{
		{"ClusterIPOutOfRange", "has an address outside the cluster's Service range", anew + " Or add a ServiceCIDR that holds the address.", checks.Warning},
		{"ClusterIPAlreadyAllocated", "has an address that another Service has, too", anew, checks.Error},
		{"ClusterIPNotValid", "has an address of a kind that the cluster does not have", anew, checks.Error},
	})
}

func findNodePortRange(s *facts.Snapshot) []checks.Finding {
	return complained(s, nodePorts, []complaint{
		{"PortOutOfRange", "has a node port outside the cluster's range", "Take nodePort out of the Service's port, or widen --service-node-port-range of the API server.", checks.Info},
		{"PortAlreadyAllocated", "has a node port that another Service has, too", "Take nodePort out of the port of one of the two Services, so that it gets another one.", checks.Error},
	})
}

// complained finds Services that still have what an event complains about
// (k8s.io/kubernetes, pkg/registry/core/service/ipallocator and portallocator).
func complained(s *facts.Snapshot, has func(*corev1.Service) []string, list []complaint) []checks.Finding {
	var out []checks.Finding
	told := map[facts.Ref]bool{}
	for _, c := range slices.Backward(list) { // the gravest first: a Service is told once
		for _, e := range s.EventsOf(c.reason) {
			svc := s.Service(e.About.Namespace, e.About.Name)
			if e.About.Kind != "Service" || svc == nil || told[e.About] || s.Taken.Sub(e.Seen.Time()) > recent || !mentions(e.Message, has(svc)) {
				continue
			}
			told[e.About] = true
			out = append(out, checks.Finding{
				Subject: facts.ServiceRef(svc), Severity: c.severity, Message: c.message, Remedy: c.remedy,
				Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String()+", event "+e.Reason, e.Message)},
			})
		}
	}
	return out
}

// mentions tells whether one of the values stands in a message as a word.
func mentions(message string, values []string) bool {
	words := strings.FieldsFunc(message, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == '[' || r == ']' || r == ';' })
	return slices.ContainsFunc(values, func(v string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.TrimPrefix(w, ":") == v })
	})
}

func nodePorts(svc *corev1.Service) []string {
	var out []string
	for _, p := range svc.Spec.Ports {
		if p.NodePort != 0 {
			out = append(out, strconv.Itoa(int(p.NodePort)))
		}
	}
	return out
}
