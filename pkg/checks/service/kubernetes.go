package service

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// apiService is what the API servers call their own Service, and the slice that they
// keep for it (k8s.io/kubernetes, pkg/controlplane/reconcilers).
const apiService = "kubernetes"

// KubernetesBroken finds what leads clients of the API server's own Service astray.
var KubernetesBroken = &checks.Check{
	ID:       "kubernetes-service-broken",
	Title:    "The kubernetes Service leads to API servers and to nothing else",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/",
	Needs:    []*facts.Source{facts.SystemServices, facts.EndpointSlices},
	MayUse:   []*facts.Source{facts.SystemPods, facts.PodLogs},
	Parts:    lostParts,
	When:     defaultUnread,
	Explains: []*checks.Check{coredns.APIUnreachable, coredns.NotSynced, cni.AgentUnhealthy, symptom.PodNotReady, traffic.PodToNode},
	ByHand: []string{"kubectl -n default get service kubernetes -o yaml",
		"kubectl -n default get endpointslices -l kubernetes.io/service-name=kubernetes",
		"kubectl run api --rm -it --restart=Never --image=busybox:1.36 -- wget -qO- -T 4 --no-check-certificate https://kubernetes.default/livez"},
	Run: findKubernetesBroken,
	Doc: `Pods reach the API server by Service kubernetes of namespace default: CoreDNS, the agents of network plugins, every
controller. The API servers keep one EndpointSlice for it, which is called like the Service, and list themselves there. They do not
look at other slices that carry the label kubernetes.io/service-name=kubernetes, and the service proxy spreads connections over all
of them.

**How it comes about**: a slice made by hand or by a tool, for a machine that is gone since; a selector that somebody gave the
Service, for which the endpoint controller then adds pods; a port of the Service that was renamed; an API server on a machine with
several networks and without --advertise-address, which lists the address of its default route, such as 10.0.2.15 of a virtual
machine's NAT network (k8sp/hadoop#14, kubernetes/kubernetes#72404); an address that may not be listed (127.0.0.1), so that nothing is.

That a listed address is no node's is no fault: managed API servers and those behind a load balancer have others. It is told only
where kube-apiserver runs as pods with other addresses, and pods of the network stack say that they get no answer.

**Cure**: delete the slices that the API servers do not keep; give the Service its port "https" back, and take its selector away;
set --advertise-address in /etc/kubernetes/manifests/kube-apiserver.yaml of each control-plane node.`,
}

// defaultUnread says that only another namespace was looked at: nothing is known of the
// slices in default then.
func defaultUnread(s *facts.Snapshot) string {
	if s.Scope == "" || s.Scope == metav1.NamespaceDefault {
		return ""
	}
	return "namespace default was not read"
}

func findKubernetesBroken(s *facts.Snapshot) []checks.Finding {
	svc := s.Service(metav1.NamespaceDefault, apiService)
	if svc == nil || svc.DeletionTimestamp != nil || s.Taken.Sub(svc.CreationTimestamp.Time) < grace {
		return nil
	}
	var out []checks.Finding
	if ready, _ := s.ReadyEndpoints(svc); ready == 0 {
		out = append(out, noAPIServer(s, svc))
	} else {
		out = slices.Concat(strays(s, svc), renamed(s, svc), misaddressed(s, svc))
	}
	for i := range out {
		out[i].Subject = facts.ServiceRef(svc)
		out[i].Places = lostClients(s, svc)
		out[i].Evidence = append(out[i].Evidence, lostWords(s, svc)...)
	}
	return out
}

func noAPIServer(s *facts.Snapshot, svc *corev1.Service) checks.Finding {
	return checks.Finding{
		Message:  "has no ready endpoint: pods get no answer from the API server",
		Evidence: []checks.Evidence{checks.Quote("EndpointSlices of "+facts.ServiceRef(svc).String(), listed(s, svc))},
		Remedy: "Read the log of kube-apiserver for why it does not list itself (an address that may not be listed, such as 127.0.0.1); " +
			"set its --advertise-address to the one that the nodes reach it by.",
	}
}

// StraySlices returns the EndpointSlices that put dead endpoints beside those of the API
// servers, where to delete them is all that is wrong with the kubernetes Service; or what
// else is.
func StraySlices(s *facts.Snapshot) ([]*facts.EndpointSlice, error) {
	svc := s.Service(metav1.NamespaceDefault, apiService)
	if svc == nil {
		return nil, errors.New("there is no Service default/kubernetes")
	}
	if len(svc.Spec.Selector) > 0 {
		return nil, fmt.Errorf("somebody gave the Service the selector %s, for which its endpoints are made again: take that away first", labelText(svc.Spec.Selector))
	}
	wrong, _, _ := strayEndpoints(s, svc)
	if ready, _ := s.ReadyEndpoints(svc); ready == 0 || len(wrong) == 0 {
		return nil, errors.New("no endpoint of it is a stray one that could be deleted: what is wrong are the API servers' own, or the Service's port")
	}
	if others := slices.Concat(renamed(s, svc), misaddressed(s, svc)); len(others) > 0 {
		return nil, fmt.Errorf("something else is wrong with it, and comes first: it %s", others[0].Message)
	}
	var out []*facts.EndpointSlice
	for _, es := range s.EndpointSlices {
		if es.Namespace == svc.Namespace && es.Service == svc.Name && len(wrong[es.Name]) > 0 {
			out = append(out, es)
		}
	}
	return out, nil
}

// strayEndpoints returns, by the slice that lists them, the endpoints that the API servers do not list
// themselves; then those that they do, and all.
func strayEndpoints(s *facts.Snapshot, svc *corev1.Service) (wrong map[string][]string, own, all map[string]bool) {
	own, all = map[string]bool{}, map[string]bool{}
	others := map[string][]string{}
	for _, es := range s.SlicesOf(svc) {
		for _, at := range answering(es) {
			all[at] = true
			if es.Name == svc.Name {
				own[at] = true
			} else {
				others[es.Name] = append(others[es.Name], at)
			}
		}
	}
	known := apiServers(s)
	for name, list := range others {
		others[name] = slices.DeleteFunc(list, func(at string) bool { return own[at] || !sameFamily(at, own) || known.pod[host(at)] })
	}
	maps.DeleteFunc(others, func(_ string, list []string) bool { return len(list) == 0 })
	return others, own, all
}

// strays finds endpoints that the API servers do not list themselves.
func strays(s *facts.Snapshot, svc *corev1.Service) []checks.Finding {
	others, own, all := strayEndpoints(s, svc)
	var out []checks.Finding
	for _, name := range slices.Sorted(maps.Keys(others)) {
		wrong := others[name]
		out = append(out, checks.Finding{
			Message: fmt.Sprintf("leads about %d of %d connections to %s, where no API server says that it is", len(wrong), len(all), strings.Join(wrong, ", ")),
			Evidence: []checks.Evidence{
				checks.Quote("EndpointSlice default/"+name, "endpoints: "+strings.Join(wrong, ", ")),
				checks.Quote("EndpointSlice default/"+svc.Name+", which the API servers keep", "endpoints: "+strings.Join(slices.Sorted(maps.Keys(own)), ", ")),
			},
			Remedy: strayRemedy(svc, name),
		})
	}
	return out
}

func strayRemedy(svc *corev1.Service, slice string) string {
	if len(svc.Spec.Selector) > 0 {
		return fmt.Sprintf("Take the selector %s away: ", labelText(svc.Spec.Selector)) +
			checks.Command(`kubectl -n default patch service %s --type=json -p '[{"op":"remove","path":"/spec/selector"}]'; then delete EndpointSlice default/%s.`, svc.Name, slice)
	}
	return checks.Command("Delete the slice, once nobody is known to keep it on purpose: kubectl -n default delete endpointslice %s", slice)
}

// renamed finds a port of the Service that no endpoint has.
func renamed(s *facts.Snapshot, svc *corev1.Service) []checks.Finding {
	var out []checks.Finding
	for _, port := range unserved(s, svc) {
		out = append(out, checks.Finding{
			Message: fmt.Sprintf("leads port %s nowhere: no endpoint has a port of that name and protocol", portText(port)),
			Evidence: []checks.Evidence{
				checks.Quote(facts.ServiceRef(svc).String()+", port", portText(port)),
				checks.Quote("EndpointSlices of "+facts.ServiceRef(svc).String()+", ports", slicePorts(s, svc)),
			},
			Remedy: "Give the Service's port the name and protocol that its EndpointSlices have; the API servers write theirs as https/TCP.",
		})
	}
	return out
}

// answering returns the ready endpoints of a slice as ADDRESS:PORT.
func answering(es *facts.EndpointSlice) []string {
	var out []string
	for i := range es.Endpoints {
		for _, p := range es.Ports {
			if es.Endpoints[i].Ready && p.Port != nil {
				out = append(out, net.JoinHostPort(es.Endpoints[i].Address, strconv.Itoa(int(*p.Port))))
			}
		}
	}
	return out
}

// listed tells what stands in a Service's slices.
func listed(s *facts.Snapshot, svc *corev1.Service) string {
	if _, all := s.ReadyEndpoints(svc); all > 0 {
		return fmt.Sprintf("%d endpoints, none of them ready", all)
	}
	return "no endpoint"
}

func host(at string) string {
	h, _, err := net.SplitHostPort(at)
	if err != nil {
		return at
	}
	return h
}

// sameFamily tells whether an address competes with others: the service proxy keeps the
// families apart.
func sameFamily(at string, others map[string]bool) bool {
	for o := range others {
		if is6(host(at)) == is6(host(o)) {
			return true
		}
	}
	return false
}

func is6(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.Unmap().Is6()
}
