package workload

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// HostNetworkDNS finds pods on the host's network that call a Service by a name which their
// resolver does not know.
var HostNetworkDNS = &checks.Check{
	ID:       "pod-hostnetwork-dnspolicy",
	Title:    "Pods on the host's network that call Services by name ask cluster DNS",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy",
	Needs:    []*facts.Source{facts.Pods, facts.Services},
	ByHand: []string{"kubectl get pods -A -o jsonpath='{range .items[?(@.spec.hostNetwork==true)]}{.metadata.namespace}/{.metadata.name} {.spec.dnsPolicy}{\"\\n\"}{end}'",
		"kubectl -n NAMESPACE exec POD -- cat /etc/resolv.conf"},
	Run: findHostNetworkDNS,
	Doc: `With hostNetwork the policy ClusterFirst, which is what a pod has unless it says otherwise, does not do what it says: the kubelet gives
such a pod the node's own resolv.conf (k8s.io/kubernetes, pkg/kubelet/network/dns). Names of Services do not resolve there, unless the node
itself asks cluster DNS.

**How it comes about**: hostNetwork was switched on for a program that had worked without it, and dnsPolicy was not.

Agents of the network on purpose use the node's resolver, and most pods on the host's network call no Service by name. So only those are told
whose command names a Service of this cluster (name.namespace.svc); static pods are left out.

**Cure**: set dnsPolicy to ClusterFirstWithHostNet in the pod template. It makes the pods anew.`,
}

// serviceName is a name of a Service in a command, as it stands in a URL or before a port.
var serviceName = regexp.MustCompile(`(?:^|[^a-zA-Z0-9._-])([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.svc\b`)

func findHostNetworkDNS(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	told := map[facts.Ref]bool{}
	for _, p := range s.Pods {
		if !p.HostNetwork || p.Static || p.Finished() || p.Deleting || p.DNSPolicy != corev1.DNSClusterFirst {
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
		if svc, arg, c := called(s, p); svc.Kind != "" {
			out = append(out, checks.Finding{
				Subject: subject,
				Message: fmt.Sprintf("calls %s by name from the host's network, where its dnsPolicy ClusterFirst gives it the node's resolver", svc),
				Evidence: []checks.Evidence{
					checks.Quote(fmt.Sprintf("%s, container %s, command", p.Ref(), c.Name), arg),
					checks.Quote(p.Ref().String(), "hostNetwork: true, dnsPolicy: ClusterFirst"),
				},
				Remedy: fmt.Sprintf("Set dnsPolicy: ClusterFirstWithHostNet in the pod template of %s.", subject),
			})
		}
	}
	return out
}

// called returns a Service that a pod's command names, and the argument that does.
func called(s *facts.Snapshot, p *facts.Pod) (svc facts.Ref, arg string, of facts.Container) {
	for _, c := range p.Containers {
		for _, arg := range c.Command {
			if told := strings.ToLower(arg); strings.Contains(told, "issuer") || strings.Contains(told, "audience") {
				continue // a name that is compared, not called
			}
			for _, found := range serviceName.FindAllStringSubmatch(arg, -1) {
				if known := s.Service(found[2], found[1]); known != nil {
					return facts.ServiceRef(known), arg, c
				}
			}
		}
	}
	return facts.Ref{}, "", facts.Container{}
}
