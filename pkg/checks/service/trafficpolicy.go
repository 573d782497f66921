package service

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// TrafficPolicyLocal finds nodes that drop a Service's traffic, since it must not leave
// them and they have no endpoint.
var TrafficPolicyLocal = &checks.Check{
	ID:       "service-traffic-policy-local",
	Title:    "Services with traffic policy Local have an endpoint wherever traffic comes in",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-policies",
	Needs:    []*facts.Source{facts.Services, facts.EndpointSlices, facts.Nodes, facts.Pods},
	ByHand: []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.externalTrafficPolicy} {.spec.internalTrafficPolicy}'",
		"kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=SERVICE -o jsonpath='{range .items[*].endpoints[*]}{.nodeName}{\"\\n\"}{end}'"},
	Run: findTrafficPolicyLocal,
	Doc: `With externalTrafficPolicy Local a node hands what comes in at a node port to its own pods alone, and keeps the client's address;
with internalTrafficPolicy Local it does so with what its pods send. A node without a Ready endpoint drops these packets: the client
waits until it gives up, while the same Service answers on other nodes.

**How it comes about**: the pods run on fewer nodes than clients use; one pod of a DaemonSet is not Ready; endpoints made by hand do
not say on which node they are (nodeName), so that no node takes them for its own.

A load balancer asks each node (healthCheckNodePort) and leaves out those without an endpoint, so a Service of type LoadBalancer is
told only where no node can have one; a node port is asked by nobody. Nodes that are not Ready or that keep pods off by a taint are left
out, and those to which a DaemonSet does not send a pod.

**Cure**: set the policy to Cluster (with externalTrafficPolicy the pods then see a node's address as the client's); or run a pod on
every node that clients use, as a DaemonSet does; or put a load balancer before the nodes that asks whether the port answers.`,
}

// locality is one of the two traffic policies where it is Local.
type locality struct {
	field, drops string
	concerns     func(s *facts.Snapshot, node string) bool // whether traffic comes in there
}

func findTrafficPolicyLocal(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	nodes := hosts(s)
	for _, svc := range s.Services {
		if svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Spec.ClusterIP == corev1.ClusterIPNone || svc.DeletionTimestamp != nil ||
			s.Taken.Sub(svc.CreationTimestamp.Time) < patience {
			continue
		}
		for _, l := range localities(svc) {
			if f := dropping(s, svc, l, nodes); f != nil {
				out = append(out, *f)
			}
		}
	}
	return out
}

func localities(svc *corev1.Service) []locality {
	var out []locality
	node := svc.Spec.Type == corev1.ServiceTypeNodePort
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal && (node || svc.Spec.Type == corev1.ServiceTypeLoadBalancer) {
		out = append(out, locality{"externalTrafficPolicy", "comes from outside to its node port", func(*facts.Snapshot, string) bool { return node }})
	}
	if p := svc.Spec.InternalTrafficPolicy; p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal {
		out = append(out, locality{"internalTrafficPolicy", "pods there send to it", clients})
	}
	return out
}

// clients tells whether a node runs pods of a network of their own, which may send.
func clients(s *facts.Snapshot, node string) bool {
	return slices.ContainsFunc(s.PodsOn(node), func(p *facts.Pod) bool { return !p.HostNetwork && !p.Finished() && !p.Deleting })
}

// hosts returns the nodes on which an endpoint may be expected.
func hosts(s *facts.Snapshot) []string {
	var out []string
	for _, n := range s.LinuxNodes() {
		tainted := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
		if nodeReady(n) && !tainted {
			out = append(out, n.Name)
		}
	}
	return out
}

// standing is where the endpoints of a Service are.
type standing struct {
	ready, other map[string]bool // nodes with a Ready endpoint, and with one that is not and does not end
	readyCount   int
	ending       map[string]bool
	daemons      bool // a DaemonSet places them
	stack        bool // they are agents of a network plugin
}

func stand(s *facts.Snapshot, svc *corev1.Service) standing {
	out := standing{ready: map[string]bool{}, other: map[string]bool{}, ending: map[string]bool{}}
	for _, es := range s.SlicesOf(svc) {
		for i := range es.Endpoints {
			e := &es.Endpoints[i]
			if p := s.Pod(es.Namespace, e.Pod); p != nil {
				out.daemons = out.daemons || p.Owner.Kind == "DaemonSet"
				out.stack = out.stack || plugins.Agent(p) != nil
			}
			switch {
			case e.Ready:
				out.readyCount++
				mark(out.ready, e.Node)
			case e.Terminating:
				mark(out.ending, e.Node)
			default:
				mark(out.other, e.Node)
			}
		}
	}
	return out
}

func mark(set map[string]bool, node string) {
	if node != "" {
		set[node] = true
	}
}

// dropping finds the nodes that drop a Service's traffic. That it has no Ready endpoint
// at all is another fault.
func dropping(s *facts.Snapshot, svc *corev1.Service, l locality, nodes []string) *checks.Finding {
	st := stand(s, svc)
	if st.readyCount == 0 || st.stack {
		return nil
	}
	if len(st.ready) == 0 {
		f := localFinding(svc, l)
		f.Severity = checks.Error
		f.Message = fmt.Sprintf("drops what %s on every node: %s is Local, and its endpoints do not say on which node they are", l.drops, l.field)
		f.Evidence = append(f.Evidence, checks.Quote("EndpointSlices of "+facts.ServiceRef(svc).String(), fmt.Sprintf("%d ready endpoints without nodeName", st.readyCount)))
		f.Remedy = "Set nodeName of each endpoint, or " + f.Remedy
		return f
	}
	var without []string
	for _, node := range nodes {
		if placed := !st.daemons || st.other[node]; placed && !st.ready[node] && !st.ending[node] && l.concerns(s, node) {
			without = append(without, node)
		}
	}
	if len(without) == 0 {
		return nil
	}
	f := localFinding(svc, l)
	f.Message = fmt.Sprintf("drops what %s on nodes without a Ready pod of its own: %s is Local", l.drops, l.field)
	f.Evidence = append(f.Evidence, checks.Quote("EndpointSlices of "+facts.ServiceRef(svc).String(), "ready endpoints on "+some(sorted(st.ready))),
		checks.Quote("Nodes without one", some(without)))
	f.Remedy = "Run a pod of it on every node that clients use, or " + f.Remedy
	return f
}

func localFinding(svc *corev1.Service, l locality) *checks.Finding {
	return &checks.Finding{
		Subject:  facts.ServiceRef(svc),
		Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String(), fmt.Sprintf("type: %s, %s: Local", cmp.Or(svc.Spec.Type, corev1.ServiceTypeClusterIP), l.field))},
		Remedy:   checks.Command("set the policy to Cluster: kubectl -n %s patch service %s -p %s", svc.Namespace, svc.Name, `{"spec":{"`+l.field+`":"Cluster"}}`),
	}
}

func sorted(set map[string]bool) []string {
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// some names the first few of a list and counts the rest.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
