package workload

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// What glibc makes of options, resolv.conf(5): greater values are silently capped.
const (
	mostNdots    = 15
	mostTimeout  = 30
	mostAttempts = 5
)

// DNSConfig finds resolver settings of pods that cannot work as written.
var DNSConfig = &checks.Check{
	ID:       "pod-dnsconfig",
	Title:    "What pods say in dnsConfig can work",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-dns-config",
	Needs:    []*facts.Source{facts.Pods, facts.Services, facts.EndpointSlices},
	ByHand: []string{"kubectl -n NAMESPACE get pod POD -o jsonpath='{.spec.dnsPolicy} {.spec.dnsConfig}'",
		"kubectl -n NAMESPACE exec POD -- cat /etc/resolv.conf"},
	Run: findDNSConfig,
	Doc: `A pod may bring name servers, search domains and options of its own in dnsConfig; with dnsPolicy None it has no others. Two things are
told. A name server that is the address of a Service which does not serve port 53, or has nobody behind it: every question to it
is in vain, and the resolver waits seconds before it asks the next one. And options whose value the resolver caps or does not understand
(resolv.conf(5): ndots to 15, timeout to 30 seconds, attempts to 5).

**How it comes about**: the address of a DNS Service was written down and the Service was made anew; a number was mistyped.

**Cure**: correct dnsConfig in the pod template, or leave it out: dnsPolicy ClusterFirst follows the cluster's DNS Service by itself.`,
}

func findDNSConfig(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	told := map[facts.Ref]bool{}
	byIP := servicesByIP(s)
	for _, p := range s.Pods {
		if p.DNSConfig == nil || p.Finished() {
			continue
		}
		subject := p.Owner
		if subject.Kind == "" {
			subject = p.Ref()
		}
		if told[subject] {
			continue
		}
		told[subject] = true
		if f := deadServer(s, p, byIP); f != nil {
			f.Subject = subject
			out = append(out, *f)
		}
		if f := oddOption(p); f != nil {
			f.Subject = subject
			out = append(out, *f)
		}
	}
	return out
}

func servicesByIP(s *facts.Snapshot) map[string]*corev1.Service {
	out := map[string]*corev1.Service{}
	for _, svc := range s.Services {
		for _, ip := range facts.ClusterIPs(svc) {
			out[ip] = svc
		}
	}
	return out
}

// deadServer finds a name server that is a Service which answers nobody.
func deadServer(s *facts.Snapshot, p *facts.Pod, byIP map[string]*corev1.Service) *checks.Finding {
	for _, ip := range p.DNSConfig.Nameservers {
		svc := byIP[ip]
		if svc == nil {
			continue
		}
		why := ""
		if !servesDNS(svc) {
			why = "does not serve port 53"
		} else if ready, _ := s.ReadyEndpoints(svc); ready == 0 {
			why = "has no ready endpoint"
		}
		if why == "" {
			continue
		}
		return &checks.Finding{
			Severity: checks.Warning,
			Message:  fmt.Sprintf("has a name server of its own, %s, which %s", facts.ServiceRef(svc), why),
			Evidence: []checks.Evidence{checks.Quote(p.Ref().String()+", dnsConfig.nameservers", ip), checks.Quote(facts.ServiceRef(svc).String()+", spec.ports", ports(svc))},
			Remedy:   fmt.Sprintf("Take %s out of dnsConfig.nameservers of the pod template, or put the address of the DNS Service there.", ip),
		}
	}
	return nil
}

func servesDNS(svc *corev1.Service) bool {
	for _, p := range svc.Spec.Ports {
		if p.Port == 53 {
			return true
		}
	}
	return false
}

func oddOption(p *facts.Pod) *checks.Finding {
	for _, o := range p.DNSConfig.Options {
		most, numeric := map[string]int{"ndots": mostNdots, "timeout": mostTimeout, "attempts": mostAttempts}[o.Name]
		if !numeric {
			continue
		}
		value := ""
		if o.Value != nil {
			value = *o.Value
		}
		why := ""
		if n, err := strconv.Atoi(value); err != nil || n < 0 {
			why = fmt.Sprintf("the value %q, which is no number: the resolver does as if the option were not there", value)
		} else if n > most {
			why = fmt.Sprintf("the value %d, which the resolver caps at %d", n, most)
		} else {
			continue
		}
		return &checks.Finding{
			Message:  fmt.Sprintf("gives the resolver's option %s %s", o.Name, why),
			Evidence: []checks.Evidence{checks.Quote(p.Ref().String()+", dnsConfig.options", o.Name+":"+value)},
			Remedy:   fmt.Sprintf("Give dnsConfig.options %s a number up to %d in the pod template, or leave it out.", o.Name, most),
		}
	}
	return nil
}
