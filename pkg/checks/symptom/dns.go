package symptom

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/served"
)

// DNSDown finds clusters and nodes whose pods can resolve no name, as far as that is
// certain without sending a query.
var DNSDown = &checks.Check{
	ID:       "dns-down",
	Title:    "Names resolve in the cluster's pods",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",
	Needs:    []*facts.Source{facts.SystemServices, facts.SystemEndpointSlices},
	MayUse:   []*facts.Source{facts.Configz, facts.Pods, facts.Nodes, facts.Answers, facts.ConfigMaps, facts.Metrics},
	When:     dnsOutside,
	Explains: []*checks.Check{DNSProbeCluster},
	ByHand:   []string{"kubectl run dns --rm -it --restart=Never --image=busybox:1.36 -- nslookup kubernetes.default"},
	Run:      findDNSDown,
	Doc: `No pod of the cluster, or of a node, can resolve a name: the address that the kubelet writes into the
pods' resolv.conf belongs to no DNS Service, or nothing ready stands behind that Service, or every pod behind it was asked
through a port-forward and knows neither names of the cluster nor others. One that may listen on another port than the one that was asked, or whose metrics
count answers to others meanwhile, does not count as silent. This is what users report ("DNS
is down"); the cause is always something else, and is named above it.

It is inferred from the objects of the API alone. At --depth probe pods send real questions: **dns-probe-cluster-fails**.`,
}

// dnsOutside says why no Service of this cluster need answer, or "". EKS Auto Mode serves DNS on
// its nodes, at the Service's address, while nobody installed a server besides.
func dnsOutside(s *facts.Snapshot) string {
	auto := func(n *corev1.Node) bool { return n.Labels["eks.amazonaws.com/compute-type"] == "auto" }
	if len(s.DNSServices())+len(s.DNSPods()) == 0 && slices.ContainsFunc(s.Nodes, auto) {
		return "the nodes of EKS Auto Mode serve DNS themselves"
	}
	return s.DNSElsewhere()
}

func findDNSDown(s *facts.Snapshot) []checks.Finding {
	services := slices.DeleteFunc(s.DNSServices(), func(svc *corev1.Service) bool { return !facts.ServesDNS(svc) })
	if len(services) > 0 && !slices.ContainsFunc(services, func(svc *corev1.Service) bool { return s.Taken.Sub(svc.CreationTimestamp.Time) >= grace }) {
		return nil // the Service was just made: no more is to be expected of it yet
	}
	if !slices.ContainsFunc(services, func(svc *corev1.Service) bool { r, _ := s.ReadyEndpoints(svc); return r > 0 }) {
		return []checks.Finding{{
			Subject:  facts.ClusterDNS(),
			Message:  "is down: names do not resolve in any pod",
			Evidence: []checks.Evidence{checks.Quote("DNS Services", addresses(services))},
			Remedy:   "Cure the cause; nothing is to be done here.",
		}}
	}
	if said := silentServers(s); len(said) > 0 {
		return []checks.Finding{{
			Subject: facts.ClusterDNS(), Message: "is down: names do not resolve in any pod", Evidence: said,
			Remedy: "Cure the cause; nothing is to be done here.",
		}}
	}
	listens := s.DNSListeners()
	answered := func(ip string) bool { return listens(ip) || leads(s, services, ip) }
	var out []checks.Finding
	for _, node := range slices.Sorted(maps.Keys(s.Configz)) {
		given := s.Configz[node].ClusterDNS
		if len(given) == 0 || slices.ContainsFunc(given, answered) {
			continue
		}
		out = append(out, checks.Finding{
			Subject:  facts.NodeRef(node),
			Message:  "runs pods in which names do not resolve",
			Evidence: []checks.Evidence{checks.Quote("Node "+node+", kubelet configz clusterDNS", strings.Join(given, ", "))},
			Remedy:   "Cure the cause; nothing is to be done here.",
		})
	}
	return out
}

// silentServers quotes what the DNS servers said, if each that clients are sent to was asked and
// has no answer to anything. What may hold for us alone does not count.
func silentServers(s *facts.Snapshot) []checks.Evidence {
	var said []checks.Evidence
	for _, p := range s.DNSPods() {
		if !p.Ready || p.Deleting {
			continue
		}
		all := s.AnswersOf(p)
		if len(all) == 0 || s.Selective(p) != "" || slices.ContainsFunc(all, facts.Answer.OK) {
			return nil
		}
		lost := func(a facts.Answer) bool { return a.Err != "" }
		if slices.ContainsFunc(all, lost) && served.Elsewhere(s, p)+served.Others(s, p) != "" {
			return nil // it may have been asked where nobody listens, or on a way that is broken
		}
		mute := !slices.ContainsFunc(all, func(a facts.Answer) bool { return a.Err == "" })
		if !mute && s.AnswerOf(p, facts.AnswerOutside) == nil {
			return nil // names outside may resolve
		}
		for _, a := range all {
			said = append(said, checks.Quote(p.Ref().String()+", asked through a port-forward", a.String()))
		}
	}
	return said
}

// leads tells whether an address is that of a DNS Service with ready endpoints.
func leads(s *facts.Snapshot, services []*corev1.Service, ip string) bool {
	return slices.ContainsFunc(services, func(svc *corev1.Service) bool {
		ready, _ := s.ReadyEndpoints(svc)
		return ready > 0 && slices.ContainsFunc(facts.ClusterIPs(svc), func(own string) bool { return facts.SameIP(own, ip) })
	})
}

func addresses(services []*corev1.Service) string {
	if len(services) == 0 {
		return "there is none"
	}
	var out []string
	for _, svc := range services {
		out = append(out, fmt.Sprintf("%s/%s (%s) has no ready endpoint", svc.Namespace, svc.Name, svc.Spec.ClusterIP))
	}
	return strings.Join(out, "; ")
}
