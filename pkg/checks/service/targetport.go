package service

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// TargetPortMismatch finds Services that send traffic to a port by a name that their
// pods do not have.
var TargetPortMismatch = &checks.Check{
	ID:       "service-targetport-mismatch",
	Title:    "Every named target port of a Service exists in its pods",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports",
	Needs:    []*facts.Source{facts.Services, facts.Pods},
	MayUse:   []*facts.Source{facts.EndpointSlices, facts.Configz},
	ByHand: []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.ports}'",
		"kubectl -n NAMESPACE get pods -o jsonpath='{range .items[*]}{.metadata.name}{\"\\t\"}{.spec.containers[*].ports}{\"\\n\"}{end}'",
		"kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=SERVICE"},
	Run: findTargetPortMismatch,
	Doc: `A Service may name its targetPort instead of giving a number. The name is looked up among the ports that the
containers of each pod declare, for the same protocol. Where a pod has no such port its endpoint carries no port: the pods are
Ready, the Service has endpoints, and yet connections are refused, since nothing is proxied.

**How it comes about**: a name misspelt or renamed on one side, a TCP port meant for UDP, a container whose ports are not
declared (a number needs no declaration, a name does), a selector that also takes in the pods of another workload.

Where only some of the pods have the port, the others get no traffic for it. While an update that adds the name is rolled out
that passes by itself and is not told; an update that loses it is.

**Cure**: give the container's port that name (spec.containers[].ports[].name), or set targetPort to the name or number that the
pods have. What Helm or GitOps manages is corrected in its source.`,
}

func findTargetPortMismatch(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range selecting(s) {
		pods := served(s, svc)
		for _, port := range svc.Spec.Ports {
			if port.TargetPort.Type != intstr.String || len(pods) == 0 {
				continue
			}
			if f := judge(s, svc, port, pods); f != nil {
				out = append(out, *f)
			}
		}
	}
	return out
}

// served returns the pods behind a Service, the newest first.
func served(s *facts.Snapshot, svc *corev1.Service) []*facts.Pod {
	pods := slices.DeleteFunc(s.Selected(svc.Namespace, svc.Spec.Selector), func(p *facts.Pod) bool {
		return p.Finished() || p.Deleting || p.Owner.Kind == "Job" // a hook of a chart, gone in a moment
	})
	slices.SortStableFunc(pods, func(a, b *facts.Pod) int { return cmp.Compare(b.Created, a.Created) })
	return pods
}

// judge compares one port of a Service with the pods behind it, the newest first.
func judge(s *facts.Snapshot, svc *corev1.Service, port corev1.ServicePort, pods []*facts.Pod) *checks.Finding {
	has := func(p *facts.Pod) bool { return declares(p, port.TargetPort.StrVal, protocol(port.Protocol)) }
	if !slices.ContainsFunc(pods, has) {
		if carried(s, svc, port) {
			return nil
		}
		f := finding(svc, port, pods[0], "none of its pods has"+otherProtocol(pods, port))
		f.Remedy = remedy(pods[0], port)
		f.Evidence = append(f.Evidence, endpoints(s, svc)...)
		return f
	}
	var other *facts.Pod
	seen := map[facts.Ref]bool{}
	for _, p := range pods {
		owner := p.Owner
		if owner.Kind == "" {
			owner = p.Ref()
		}
		if seen[owner] {
			continue
		}
		seen[owner] = true // by its newest pod: an update that brings the name is none of our business
		switch {
		case has(p):
		case slices.ContainsFunc(pods, func(o *facts.Pod) bool { return o.Owner == p.Owner && p.Owner.Kind != "" && has(o) }):
			f := finding(svc, port, p, fmt.Sprintf("the newest pods of %s %s no longer have", owner.Kind, owner.Name))
			f.Severity = checks.Warning
			f.Remedy = "Give that port its name back in the pod template, before the update has replaced the last pod that has it."
			return f
		case other == nil:
			other = p
		}
	}
	if other == nil {
		return nil
	}
	f := finding(svc, port, other, "only some of its pods have")
	f.Severity = checks.Info // workloads may share a Service on purpose
	f.Remedy = "Nothing, if the others are not meant to serve this port; else give their port that name, or narrow the selector."
	return f
}

func finding(svc *corev1.Service, port corev1.ServicePort, p *facts.Pod, who string) *checks.Finding {
	return &checks.Finding{
		Subject: facts.ServiceRef(svc),
		Message: fmt.Sprintf("sends port %s to a container port named %q, which %s", portText(port), port.TargetPort.StrVal, who),
		Evidence: []checks.Evidence{
			checks.Quote(facts.ServiceRef(svc).String()+", port "+portText(port), "targetPort: "+port.TargetPort.StrVal),
			checks.Quote(p.Ref().String()+", ports of its containers", declared(p)),
		},
	}
}

// declares looks the name up as the EndpointSlice controller does (k8s.io/endpointslice,
// FindPort): in containers, and in init containers that go on running beside them.
func declares(p *facts.Pod, name string, proto corev1.Protocol) bool {
	for _, c := range p.Containers {
		if c.Init && !c.Restartable {
			continue
		}
		for _, port := range c.Ports {
			if port.Name == name && protocol(port.Protocol) == proto {
				return true
			}
		}
	}
	return false
}

// carried tells whether the Service's endpoints have the port all the same.
func carried(s *facts.Snapshot, svc *corev1.Service, port corev1.ServicePort) bool {
	for _, es := range s.SlicesOf(svc) {
		for _, p := range es.Ports {
			if p.Port != nil && p.Name != nil && *p.Name == port.Name && len(es.Endpoints) > 0 {
				return true
			}
		}
	}
	return false
}

// otherProtocol adds that the name is there, for another protocol.
func otherProtocol(pods []*facts.Pod, port corev1.ServicePort) string {
	for _, proto := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
		if proto != protocol(port.Protocol) && declares(pods[0], port.TargetPort.StrVal, proto) {
			return fmt.Sprintf(" for %s (they have it for %s)", protocol(port.Protocol), proto)
		}
	}
	return ""
}

func remedy(p *facts.Pod, port corev1.ServicePort) string {
	if list := declared(p); list != "none" {
		return fmt.Sprintf("Set targetPort of port %s to one that the pods have (%s), or give a port of theirs the name %s.", portText(port), list, port.TargetPort.StrVal)
	}
	return fmt.Sprintf("Set targetPort of port %s to the number that the program listens on, or declare it in the pod template under the name %s.", portText(port), port.TargetPort.StrVal)
}

func endpoints(s *facts.Snapshot, svc *corev1.Service) []checks.Evidence {
	if _, all := s.ReadyEndpoints(svc); all > 0 {
		return []checks.Evidence{checks.Quote("EndpointSlices of "+facts.ServiceRef(svc).String(), fmt.Sprintf("%d endpoints, none of them with this port", all))}
	}
	return nil
}

func declared(p *facts.Pod) string {
	var out []string
	for _, c := range p.Containers {
		if c.Init && !c.Restartable {
			continue
		}
		for _, port := range c.Ports {
			out = append(out, fmt.Sprintf("%s %d/%s", cmp.Or(port.Name, "unnamed"), port.ContainerPort, protocol(port.Protocol)))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

func portText(port corev1.ServicePort) string {
	text := fmt.Sprintf("%d/%s", port.Port, protocol(port.Protocol))
	if port.Name == "" {
		return text
	}
	return fmt.Sprintf("%s (%s)", port.Name, text)
}

// protocol fills in what the API server would.
func protocol(p corev1.Protocol) corev1.Protocol { return cmp.Or(p, corev1.ProtocolTCP) }
