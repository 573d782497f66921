package coredns

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ServiceSelector finds a DNS Service that selects no pod, or the wrong ones, while
// CoreDNS runs beside it.
var ServiceSelector = &checks.Check{
	ID:       "dns-service-selector",
	Title:    "The DNS Service selects the CoreDNS pods",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#are-dns-endpoints-exposed",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemServices},
	MayUse:   []*facts.Source{facts.Configz},
	Explains: []*checks.Check{symptom.DNSServiceNoEndpoints, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system describe service kube-dns",
		"kubectl -n kube-system get pods --show-labels"},
	Run: findServiceSelector,
	Doc: `A Service finds its pods by their labels. The DNS Service of nearly every installation asks for
` + "`k8s-app: kube-dns`" + `, also where the pods are called coredns. If its selector and the labels of the CoreDNS pods differ,
the pods run and are Ready, the Service has no endpoint, and no name resolves.

It comes about by an edit, by a manifest or chart that labels the pods ` + "`k8s-app: coredns`" + ` in front of which the old Service
was left, or by a selector so wide that pods which serve no DNS are selected too: then some of the questions get no answer.

Cure: set the Service's selector to the labels of the pods (` + "`kubectl -n kube-system set selector service kube-dns k8s-app=kube-dns`" + `).
The labels of a Deployment's pods cannot be changed without making it anew, so the selector is the side to change, or
what owns it: an operator or addon-manager puts its own selector back.`,
}

func findServiceSelector(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range askedServices(s) {
		if len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
			continue // its endpoints are made by hand
		}
		selected := s.Selected(svc.Namespace, svc.Spec.Selector)
		selected = slices.DeleteFunc(slices.Clone(selected), (*facts.Pod).Finished)
		servers := s.DNSPods()
		strangers := slices.DeleteFunc(slices.Clone(selected), func(p *facts.Pod) bool { return slices.Contains(servers, p) })
		servers = slices.DeleteFunc(servers, func(p *facts.Pod) bool { return p.Namespace != svc.Namespace })
		switch {
		case len(servers) == 0:
		case len(selected) == 0:
			out = append(out, selectsNone(svc, servers))
		case len(strangers) > 0 && slices.ContainsFunc(strangers, foreign):
			out = append(out, selectsStrangers(svc, slices.DeleteFunc(strangers, func(p *facts.Pod) bool { return !foreign(p) }), len(strangers) == len(selected)))
		}
	}
	return out
}

// foreign tells whether a pod certainly serves no names: it says which ports it has,
// and none is one that a DNS server of a pod listens on.
func foreign(p *facts.Pod) bool {
	ports := 0
	for _, c := range p.Containers {
		for _, port := range c.Ports {
			ports++
			if port.Protocol == corev1.ProtocolUDP || strings.Contains(port.Name, "dns") || port.ContainerPort == 53 {
				return false
			}
		}
	}
	return ports > 0
}

func selectsNone(svc *corev1.Service, servers []*facts.Pod) checks.Finding {
	p := servers[0]
	var theirs []string
	for key := range svc.Spec.Selector {
		if v, ok := p.Labels[key]; ok {
			theirs = append(theirs, key+"="+v)
		} else {
			theirs = append(theirs, "no "+key)
		}
	}
	slices.Sort(theirs)
	want := pairs(svc.Spec.Selector)
	return checks.Finding{
		Subject: facts.ServiceRef(svc),
		Message: "selects no pod: it asks for " + want + ", the CoreDNS pods have " + strings.Join(theirs, ", "),
		Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String()+", spec.selector", want),
			checks.Quote(p.Ref().String()+", labels", pairs(withoutHash(p.Labels)))},
		Remedy: "Set spec.selector of the Service to the labels of the CoreDNS pods: " + pairs(withoutHash(p.Labels)) + ".",
	}
}

// withoutHash leaves out the labels that a controller adds to the pods of one revision.
func withoutHash(labels map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		if k != "pod-template-hash" && k != "controller-revision-hash" && k != "pod-template-generation" {
			out[k] = v
		}
	}
	return out
}

func selectsStrangers(svc *corev1.Service, strangers []*facts.Pod, alone bool) checks.Finding {
	f := checks.Finding{
		Subject:  facts.ServiceRef(svc),
		Severity: checks.Warning,
		Message:  "also selects pods that serve no DNS: some questions get no answer",
		Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String()+", spec.selector", pairs(svc.Spec.Selector))},
		Remedy:   "Narrow spec.selector of the Service so that it selects the CoreDNS pods alone.",
	}
	if alone {
		f.Severity, f.Message = checks.Error, "selects pods that serve no DNS, and not the CoreDNS pods"
	}
	for _, p := range strangers {
		f.Evidence = append(f.Evidence, checks.Quote(p.Ref().String()+", labels", pairs(withoutHash(p.Labels))))
	}
	return f
}
