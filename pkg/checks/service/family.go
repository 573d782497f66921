package service

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Family finds Services with an address of a family that none of their pods has.
var Family = &checks.Check{
	ID:       "service-family",
	Title:    "The pods of every Service have addresses of its families",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/dual-stack/",
	Needs:    []*facts.Source{facts.Services, facts.Pods},
	MayUse:   []*facts.Source{facts.EndpointSlices, facts.Configz},
	Explains: []*checks.Check{symptom.ServiceNoEndpoints},
	ByHand: []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.ipFamilyPolicy} {.spec.ipFamilies} {.spec.clusterIPs}'",
		"kubectl -n NAMESPACE get pods -o jsonpath='{range .items[*]}{.metadata.name} {.status.podIPs}{\"\\n\"}{end}'"},
	Run: findFamily,
	Doc: `A Service has an address for each of its ipFamilies, and behind each stand only those addresses of its pods that are of the same
family. If no pod has one, connections to that address are refused, while the pods are Ready. With two families clients often try IPv6 first:
they are slow, or fail, depending on whether they try the other.

**How it comes about**: the cluster was made dual-stack, and the pods are older; the network plugin gives addresses of one family only; the
Service asks for a family by hand (ipFamilies).

**Cure**: make the pods anew, if new pods of the cluster get both addresses; else set the Service's ipFamilies and ipFamilyPolicy to what the pods
have. The first of ipFamilies cannot be changed, only the Service made anew.`,
}

func findFamily(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range selecting(s) {
		families := slices.DeleteFunc(slices.Clone(svc.Spec.IPFamilies), func(f corev1.IPFamily) bool { return answers(s, svc, f) })
		if svc.Spec.ClusterIP == corev1.ClusterIPNone || len(families) == 0 || s.Taken.Sub(svc.CreationTimestamp.Time) < grace {
			continue
		}
		pods := slices.DeleteFunc(s.Selected(svc.Namespace, svc.Spec.Selector), func(p *facts.Pod) bool {
			return !p.Ready || p.Finished() || p.Deleting || len(p.IPs()) == 0
		})
		if len(pods) == 0 {
			continue
		}
		for _, family := range families {
			if !slices.ContainsFunc(pods, func(p *facts.Pod) bool { return slices.ContainsFunc(p.IPs(), of(family)) }) {
				out = append(out, without(svc, family, pods))
			}
		}
	}
	return out
}

func of(family corev1.IPFamily) func(ip string) bool {
	return func(ip string) bool { return is6(ip) == (family == corev1.IPv6Protocol) }
}

// answers tells whether the Service has a ready endpoint of the family.
func answers(s *facts.Snapshot, svc *corev1.Service, family corev1.IPFamily) bool {
	return slices.ContainsFunc(s.SlicesOf(svc), func(es *facts.EndpointSlice) bool {
		return slices.ContainsFunc(es.Endpoints, func(e facts.Endpoint) bool { return e.Ready && of(family)(e.Address) })
	})
}

func without(svc *corev1.Service, family corev1.IPFamily, pods []*facts.Pod) checks.Finding {
	f := checks.Finding{
		Subject: facts.ServiceRef(svc),
		Message: fmt.Sprintf("has an %s address that nothing stands behind: none of its pods has one of that family", family),
		Evidence: []checks.Evidence{
			checks.Quote(facts.ServiceRef(svc).String()+", clusterIPs", strings.Join(facts.ClusterIPs(svc), ", ")),
			checks.Quote(pods[0].Ref().String()+", podIPs", strings.Join(pods[0].IPs(), ", ")),
		},
		Remedy: fmt.Sprintf("Make the pods anew if new pods of this cluster get an %s address; else give the Service the pods' family alone (ipFamilyPolicy SingleStack).", family),
	}
	if len(svc.Spec.IPFamilies) == 1 {
		f.Severity = checks.Error
		f.Remedy = "Make the Service anew without ipFamilies and clusterIPs, so that it gets the cluster's family, or give the pods addresses of its own."
	}
	return f
}
