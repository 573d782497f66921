package coredns

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/served"
)

// ServicePorts finds a DNS Service without port 53, or with one that leads to a port
// where CoreDNS does not listen.
var ServicePorts = &checks.Check{
	ID:       "dns-service-ports",
	Title:    "The DNS Service leads port 53, UDP and TCP, to where CoreDNS listens",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemServices},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.Configz},
	Explains: []*checks.Check{symptom.DNSDown, symptom.DNSProbeCluster}, // endpoints are Ready or not whatever the ports
	ByHand: []string{"kubectl -n kube-system get service kube-dns -o yaml",
		"kubectl -n kube-system get endpointslices -l kubernetes.io/service-name=kube-dns -o yaml"},
	Run: findServicePorts,
	Doc: `Resolvers ask on port 53 and cannot be told another. They use UDP, and TCP for answers that do not fit; NodeLocal
DNSCache asks by TCP alone. So the DNS Service needs port 53 for both. Its target port must be one where CoreDNS listens:
the port of the server block in the Corefile (` + "`.:53`" + `; 5353 on OpenShift). A target port given by name must be the name of a port
of the container with the same protocol, or the endpoints come without that port.

It comes about by an edit of the Service, or of the Corefile's port alone (to run without NET_BIND_SERVICE, for one).

Cure: correct ` + "`spec.ports`" + ` of the Service: 53/UDP and 53/TCP, with the target port where CoreDNS listens. After a change of
the Corefile's port, change the container's ports and probes with it.`,
}

func findServicePorts(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range askedServices(s) {
		if svc.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		var missing, astray []corev1.Protocol
		var why string
		for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
			port, wrong := Port53(s, svc, protocol)
			if port == nil {
				missing = append(missing, protocol)
			} else if wrong != "" {
				astray, why = append(astray, protocol), wrong
			}
		}
		if len(missing) > 0 {
			out = append(out, portFinding(svc, missing, "has no port "+spell(missing),
				"Add "+spell(missing)+" to spec.ports of the Service, with the target port where CoreDNS listens."))
		}
		if len(astray) > 0 {
			out = append(out, portFinding(svc, astray, "leads port "+spell(astray)+" to "+why,
				"Correct targetPort in spec.ports of the Service: it must be where CoreDNS listens."))
		}
	}
	return out
}

// portFinding is an error where UDP is concerned; resolvers take to TCP only for what
// does not fit.
func portFinding(svc *corev1.Service, protocols []corev1.Protocol, message, remedy string) checks.Finding {
	f := checks.Finding{
		Subject:  facts.ServiceRef(svc),
		Message:  message,
		Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String()+", spec.ports", portList(svc))},
		Remedy:   remedy,
	}
	if !slices.Contains(protocols, corev1.ProtocolUDP) {
		f.Severity = checks.Warning
	}
	return f
}

func spell(protocols []corev1.Protocol) string {
	var out []string
	for _, p := range protocols {
		out = append(out, "53/"+string(p))
	}
	return strings.Join(out, " and ")
}

func portList(svc *corev1.Service) string {
	var out []string
	for _, p := range svc.Spec.Ports {
		target := target(&p)
		out = append(out, fmt.Sprintf("%d/%s -> %s", p.Port, protocolOf(p.Protocol), target.String()))
	}
	return strings.Join(out, ", ")
}

func port53(svc *corev1.Service, protocol corev1.Protocol) *corev1.ServicePort {
	for i := range svc.Spec.Ports {
		if p := &svc.Spec.Ports[i]; p.Port == 53 && protocolOf(p.Protocol) == protocol {
			return p
		}
	}
	return nil
}

func protocolOf(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP // what the API server fills in
	}
	return p
}

func target(p *corev1.ServicePort) intstr.IntOrString {
	if p.TargetPort.Type == intstr.Int && p.TargetPort.IntVal == 0 {
		return intstr.FromInt32(p.Port)
	}
	return p.TargetPort
}

// wrongTarget says where a port leads that none of the Service's pods serves, or "". It
// is wrong only if it is wrong in all of them: a rollout may be under way.
func wrongTarget(s *facts.Snapshot, svc *corev1.Service, port *corev1.ServicePort) string {
	why := ""
	for _, p := range s.Selected(svc.Namespace, svc.Spec.Selector) {
		if p.Finished() {
			continue
		}
		if why = wrongIn(s, p, target(port), protocolOf(port.Protocol)); why == "" {
			return ""
		}
	}
	return why
}

func wrongIn(s *facts.Snapshot, p *facts.Pod, to intstr.IntOrString, protocol corev1.Protocol) string {
	declared := declares(p, to, protocol)
	if to.Type == intstr.String {
		if declared {
			return ""
		}
		return strconv.Quote(to.StrVal) + ", a name that no container's port has"
	}
	if listens := listening(s, p); listens != nil {
		if slices.Contains(listens, to.String()) {
			return ""
		}
		return to.String() + ", and CoreDNS listens on " + strings.Join(listens, ", ")
	}
	if declared || !slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return len(c.Ports) > 0 }) {
		return ""
	}
	return to.String() + ", a port that no container has"
}

func declares(p *facts.Pod, to intstr.IntOrString, protocol corev1.Protocol) bool {
	return slices.ContainsFunc(p.Containers, func(c facts.Container) bool {
		return slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool {
			return protocolOf(port.Protocol) == protocol &&
				(to.Type == intstr.String && port.Name == to.StrVal || to.Type == intstr.Int && port.ContainerPort == to.IntVal)
		})
	})
}

// listening returns the ports on which the pod's Corefile serves plain DNS, or nil where
// that is not certain.
func listening(s *facts.Snapshot, p *facts.Pod) []string { return served.Listens(s, p, false) }
