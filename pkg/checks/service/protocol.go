package service

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ProtocolMismatch finds ports of Services that the pods have for another protocol.
var ProtocolMismatch = &checks.Check{
	ID:       "service-protocol-mismatch",
	Title:    "The ports of every Service have the protocol of the pods' ports",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/networking/service-protocols/",
	Needs:    []*facts.Source{facts.Services, facts.EndpointSlices, facts.Pods},
	MayUse:   []*facts.Source{facts.Configz},
	ByHand: []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.ports}'",
		"kubectl -n NAMESPACE get pods -o jsonpath='{range .items[*]}{.metadata.name}{\"\\t\"}{.spec.containers[*].ports}{\"\\n\"}{end}'"},
	Run: findProtocolMismatch,
	Doc: `A port of a Service is for one protocol, which is TCP where none is given. Packets of another one are not translated: a DNS or
syslog server that listens on UDP gets nothing through a Service whose port says TCP, although its pods are Ready and the Service has
endpoints.

**How it comes about**: protocol: UDP was forgotten in the Service.

It is told where every workload behind the Service declares the port's number for another protocol alone, and the Service has it for that
one nowhere. What containers declare binds nobody, so it is a warning. A port that is given by name is told by service-targetport-mismatch.

**Cure**: set the protocol of the Service's port; or declare the port in the pod template as it is, if the program does listen for both.`,
}

func findProtocolMismatch(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range selecting(s) {
		if svc.Spec.ClusterIP == corev1.ClusterIPNone || s.Taken.Sub(svc.CreationTimestamp.Time) < grace {
			continue
		}
		parties := workloads(s, svc)
		for _, port := range svc.Spec.Ports {
			other := otherwise(port, parties)
			if other == "" || slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
				return targetNumber(p) == targetNumber(port) && protocol(p.Protocol) == other
			}) {
				continue
			}
			out = append(out, checks.Finding{
				Subject: facts.ServiceRef(svc),
				Message: fmt.Sprintf("has port %s, which its pods declare for %s alone", portText(port), other),
				Evidence: []checks.Evidence{
					checks.Quote(facts.ServiceRef(svc).String()+", port", fmt.Sprintf("%s, targetPort %d", portText(port), targetNumber(port))),
					checks.Quote(parties[0].Ref().String()+", ports of its containers", declared(parties[0])),
				},
				Remedy: fmt.Sprintf("Set protocol: %s in the port of the Service, if clients use that.", other),
			})
		}
	}
	return out
}

// otherwise returns the protocol for which all workloads declare a port that none
// declares for the Service's, or "".
func otherwise(port corev1.ServicePort, parties []*facts.Pod) corev1.Protocol {
	number := targetNumber(port)
	if number == 0 || len(parties) == 0 {
		return ""
	}
	for _, proto := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
		if proto != protocol(port.Protocol) && !slices.ContainsFunc(parties, func(p *facts.Pod) bool {
			return !declaresNumber(p, number, proto) || declaresNumber(p, number, protocol(port.Protocol))
		}) {
			return proto
		}
	}
	return ""
}

// targetNumber returns the number that a port of a Service leads to, or 0 where it is
// given by name.
func targetNumber(port corev1.ServicePort) int32 {
	switch {
	case port.TargetPort.Type != intstr.Int:
		return 0
	case port.TargetPort.IntVal == 0:
		return port.Port
	}
	return port.TargetPort.IntVal
}
