package workload

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Subdomain finds pods that want a name of their own and do not get it.
var Subdomain = &checks.Check{
	ID:       "pod-subdomain-dns",
	Title:    "A pod's subdomain is a headless Service that selects it",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-hostname-and-subdomain-fields",
	Needs:    []*facts.Source{facts.Pods, facts.Services},
	ByHand: []string{"kubectl -n NAMESPACE get pod POD -o jsonpath='{.spec.hostname} {.spec.subdomain}'",
		"kubectl -n NAMESPACE get services -o custom-columns=NAME:.metadata.name,IP:.spec.clusterIP,SELECTOR:.spec.selector"},
	Run: findSubdomains,
	Doc: `A pod with a subdomain has the name HOSTNAME.SUBDOMAIN.NAMESPACE.svc in DNS, if there is a headless Service of the subdomain's name in
its namespace that selects it. Without that Service there is no such name, and nothing says so: other pods get NXDOMAIN.

**How it comes about**: the Service was forgotten or renamed, has a ClusterIP, or its selector does not take the pod in. Pods of
StatefulSets have their serviceName as subdomain; of those **service-headless** tells.

**Cure**: make a Service of the subdomain's name with clusterIP: None and a selector for the pod, or take subdomain out of the pod template if nobody
asks for that name.`,
}

func findSubdomains(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	told := map[facts.Ref]bool{}
	for _, p := range s.Pods {
		if p.Subdomain == "" || p.Owner.Kind == "StatefulSet" || p.Finished() || p.Deleting || s.Taken.Sub(p.Created.Time()) < patience {
			continue
		}
		subject := p.Owner
		if subject.Kind == "" {
			subject = p.Ref()
		}
		if told[subject] || outOfScope(s, p.Namespace) {
			continue
		}
		told[subject] = true
		if why := nameless(s, p); why != "" {
			out = append(out, checks.Finding{
				Subject:  subject,
				Message:  fmt.Sprintf("wants its pods to have names below %s, %s: they have none", p.Subdomain, why),
				Evidence: []checks.Evidence{checks.Quote(p.Ref().String()+", spec.subdomain", p.Subdomain), checks.Quote("Services of namespace "+p.Namespace, services(s, p.Namespace))},
				Remedy:   fmt.Sprintf("Make a Service %s in the namespace with clusterIP: None and a selector for these pods, or take subdomain out of the pod template.", p.Subdomain),
			})
		}
	}
	return out
}

// nameless says why a pod has no name below its subdomain, or "".
func nameless(s *facts.Snapshot, p *facts.Pod) string {
	svc := s.Service(p.Namespace, p.Subdomain)
	switch {
	case svc == nil:
		return "and there is no Service of that name"
	case svc.Spec.ClusterIP != corev1.ClusterIPNone:
		return "whose Service is not headless"
	case len(svc.Spec.Selector) > 0 && !facts.Matches(svc.Spec.Selector, p.Labels):
		return "whose Service does not select them"
	}
	return ""
}
