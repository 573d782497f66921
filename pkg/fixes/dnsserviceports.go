package fixes

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// DNSServicePorts lets the DNS Service lead port 53 to where CoreDNS listens.
var DNSServicePorts = &Fix{
	ID:     "dns-service-ports",
	Title:  "Let the DNS Service lead port 53, UDP and TCP, to where CoreDNS listens",
	For:    []*checks.Check{coredns.ServicePorts},
	Risk:   Harmless,
	Settle: endpointsSettle,
	Plan:   planDNSServicePorts,
	Doc: `Sets targetPort of port 53 of the DNS Service, for UDP and TCP, to the port of the server block with the plugin kubernetes in the Corefile;
where the Corefile does not tell (files are imported, a flag has a say), to the port that the containers of CoreDNS declare for both
protocols. A port 53 that is missing is added, named dns or dns-tcp. A port that is right, and every other, stays as it is. No pod is made
anew.

Refused where the pods serve names on several ports, or on different ones, and where a port would have to be added to a Service of type NodePort
or LoadBalancer, which would open it on every node. It changes the Service alone: where the Corefile's port was changed by mistake, change
that back instead.

An operator or an add-on manager puts its own ports back; Helm does so at the next upgrade.`,
}

func planDNSServicePorts(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	svc, err := subjectService(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	pods := slices.DeleteFunc(s.DNSPods(), func(p *facts.Pod) bool {
		return p.Namespace != svc.Namespace || p.Deleting || !facts.Matches(svc.Spec.Selector, p.Labels)
	})
	edited := svc.DeepCopy()
	for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		port, wrong := coredns.Port53(s, edited, protocol)
		if port != nil && wrong == "" {
			continue
		}
		to, err := coredns.ServedPort(s, pods, protocol)
		if err != nil {
			return Plan{}, err
		}
		if port != nil {
			port.TargetPort = intstr.FromInt32(to)
			continue
		}
		if err := addPort53(edited, protocol, to); err != nil {
			return Plan{}, err
		}
	}
	return changeService(svc, edited)
}

// addPort53 adds the port under the name that kubeadm gives it, or the next best.
func addPort53(svc *corev1.Service, protocol corev1.Protocol, to int32) error {
	if t := svc.Spec.Type; t != "" && t != corev1.ServiceTypeClusterIP {
		return fmt.Errorf("the Service is of type %s, where a new port is opened on every node: add port 53/%s by hand", t, protocol)
	}
	names := []string{"dns", "dns-udp"}
	if protocol == corev1.ProtocolTCP {
		names = []string{"dns-tcp"}
	}
	for i := range svc.Spec.Ports {
		if svc.Spec.Ports[i].Name == "" { // only a sole port may be without one
			svc.Spec.Ports[i].Name = "port-" + fmt.Sprint(svc.Spec.Ports[i].Port)
			if svc.Spec.Ports[i].Port == 53 {
				svc.Spec.Ports[i].Name = map[corev1.Protocol]string{corev1.ProtocolUDP: "dns-tcp", corev1.ProtocolTCP: "dns"}[protocol]
			}
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == name }) {
			svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: name, Port: 53, Protocol: protocol, TargetPort: intstr.FromInt32(to)})
			return nil
		}
	}
	return fmt.Errorf("a port of the Service has the name %s already, and is not 53/%s: give it another one first", names[len(names)-1], protocol)
}
