package service

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// misaddressed finds an address that no kube-apiserver has, where clients get no answer.
func misaddressed(s *facts.Snapshot, svc *corev1.Service) []checks.Finding {
	wrong, known := unfamiliar(s, svc)
	if len(wrong) == 0 || len(lostClients(s, svc)) == 0 {
		return nil
	}
	return []checks.Finding{{
		Message: fmt.Sprintf("leads to %s, an address that no kube-apiserver pod has", strings.Join(wrong, ", ")),
		Evidence: []checks.Evidence{
			checks.Quote("EndpointSlice default/"+svc.Name, "endpoints: "+strings.Join(wrong, ", ")),
			checks.Quote("Pods of kube-apiserver, addresses", strings.Join(slices.Sorted(maps.Keys(known.pod)), ", ")),
		},
		Remedy: "Set --advertise-address of each kube-apiserver (/etc/kubernetes/manifests/kube-apiserver.yaml) to the address that the other nodes reach it by.",
	}}
}

// unfamiliar returns the addresses that the API servers list themselves by and that none of
// their pods has, and those that these have; nothing where they do not run as pods.
func unfamiliar(s *facts.Snapshot, svc *corev1.Service) ([]string, servers) {
	known := apiServers(s)
	if len(known.pod) == 0 {
		return nil, known
	}
	var out []string
	for _, es := range s.SlicesOf(svc) {
		for _, at := range answering(es) {
			if es.Name == svc.Name && !known.pod[host(at)] && !known.told[host(at)] {
				out = append(out, at)
			}
		}
	}
	return out, known
}

// lostParts names the logs that tell whether an address which no API server's pod has does
// harm: those of the network's pods that are not Ready.
func lostParts(s *facts.Snapshot) []checks.Part {
	svc := s.Service(metav1.NamespaceDefault, apiService)
	if svc == nil {
		return nil
	}
	if wrong, _ := unfamiliar(s, svc); len(wrong) == 0 {
		return nil
	}
	return checks.PodLogs(slices.DeleteFunc(plugins.Stack(s), func(p *facts.Pod) bool {
		return p.Ready || p.Deleting || !facts.SystemNamespace(p.Namespace)
	}))
}

// servers are the addresses of API servers that run as pods of this cluster.
type servers struct{ pod, told map[string]bool } // their own, and what --advertise-address says

func apiServers(s *facts.Snapshot) servers {
	out := servers{map[string]bool{}, map[string]bool{}}
	for _, p := range s.PodsIn(metav1.NamespaceSystem) {
		if p.Labels["component"] != "kube-apiserver" || !p.HostNetwork || p.Finished() {
			continue
		}
		for _, ip := range p.IPs() {
			out.pod[ip] = true
		}
		for i := range p.Containers {
			for _, arg := range p.Containers[i].Command {
				if ip, found := strings.CutPrefix(arg, "--advertise-address="); found {
					out.told[ip] = true
				}
			}
		}
	}
	return out
}

// unanswered is how Go programs say that they did not get through to an address.
var unanswered = regexp.MustCompile(`i/o timeout|connection refused|no route to host|connection timed out|network is unreachable|TLS handshake timeout|context deadline exceeded`)

// lostClients returns the pods of the network stack that are not Ready and say that they
// got no answer at the Service's address.
func lostClients(s *facts.Snapshot, svc *corev1.Service) []facts.Ref {
	var out []facts.Ref
	for _, key := range slices.Sorted(maps.Keys(s.Logs)) {
		if p, _, line := lost(s, svc, key); line != "" && !slices.Contains(out, p.Ref()) {
			out = append(out, p.Ref())
		}
	}
	return out
}

// lostWords quotes the first of them.
func lostWords(s *facts.Snapshot, svc *corev1.Service) []checks.Evidence {
	for _, key := range slices.Sorted(maps.Keys(s.Logs)) {
		if p, which, line := lost(s, svc, key); line != "" {
			return []checks.Evidence{checks.QuoteLog(p, which, line)}
		}
	}
	return nil
}

func lost(s *facts.Snapshot, svc *corev1.Service, key string) (p *facts.Pod, which, line string) {
	part := strings.Split(key, "/")
	if len(part) != 3 || !facts.SystemNamespace(part[0]) {
		return nil, "", ""
	}
	p = s.Pod(part[0], part[1])
	if p == nil || p.Ready || p.Deleting {
		return nil, "", ""
	}
	log := s.Logs[key]
	if line = unansweredLine(svc, log.Current); line != "" {
		return p, "log", line
	}
	return p, "previous log", unansweredLine(svc, log.Previous)
}

// unansweredLine returns the first line that says so of one of the Service's addresses.
func unansweredLine(svc *corev1.Service, log string) string {
	for _, ip := range facts.ClusterIPs(svc) {
		for _, port := range svc.Spec.Ports {
			at := net.JoinHostPort(ip, strconv.Itoa(int(port.Port)))
			for line := range strings.Lines(log) {
				if strings.Contains(line, at) && unanswered.MatchString(line) {
					return strings.TrimSpace(line)
				}
			}
		}
	}
	return ""
}
