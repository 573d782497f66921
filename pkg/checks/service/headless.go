package service

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Headless finds StatefulSets whose pods have no names, and headless Services with
// settings that do nothing.
var Headless = &checks.Check{
	ID:       "service-headless",
	Title:    "Headless Services give the pods of StatefulSets their names",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id",
	Needs:    []*facts.Source{facts.StatefulSets, facts.Services},
	ByHand: []string{"kubectl -n NAMESPACE get statefulset STATEFULSET -o jsonpath='{.spec.serviceName}'",
		"kubectl -n NAMESPACE get services -o custom-columns=NAME:.metadata.name,IP:.spec.clusterIP,SELECTOR:.spec.selector"},
	Run: findHeadless,
	Doc: `The pods of a StatefulSet have names of their own in DNS, POD.SERVICE.NAMESPACE.svc, if its serviceName is a headless Service
(clusterIP: None) that selects them. Without it the pods run, and whoever looks for one of them by name gets NXDOMAIN: members of
a database do not find each other. A serviceName that is left out says that nobody needs the names.

**How it comes about**: a chart was split, the Service was renamed, or it was made with a ClusterIP.

Of a headless Service that sets sessionAffinity or externalIPs it is told that these do nothing: there is no address in
whose traffic anybody could act.

**Cure**: make a Service of the serviceName's name with clusterIP: None and the pods' labels as selector; serviceName itself cannot be changed.`,
}

func findHeadless(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, set := range s.StatefulSets {
		if set.Spec.ServiceName == "" || set.DeletionTimestamp != nil || s.Taken.Sub(set.CreationTimestamp.Time) < patience || unread(s, set.Namespace) {
			continue
		}
		why := ""
		svc := s.Service(set.Namespace, set.Spec.ServiceName)
		switch {
		case svc == nil:
			why = "which does not exist"
		case svc.Spec.ClusterIP != corev1.ClusterIPNone:
			why = "which is not headless"
		case len(svc.Spec.Selector) > 0 && !facts.Matches(svc.Spec.Selector, set.Spec.Template.Labels):
			why = "which does not select them"
		default:
			continue
		}
		out = append(out, checks.Finding{
			Subject:  facts.Ref{Kind: "StatefulSet", Namespace: set.Namespace, Name: set.Name},
			Message:  fmt.Sprintf("has its pods named by Service %s, %s: they have no names in DNS", set.Spec.ServiceName, why),
			Evidence: []checks.Evidence{checks.Quote(fmt.Sprintf("StatefulSet %s/%s, spec.serviceName", set.Namespace, set.Name), set.Spec.ServiceName)},
			Remedy:   fmt.Sprintf("If somebody asks for single pods by name, make a Service %s with clusterIP: None and the pods' labels as selector.", set.Spec.ServiceName),
		})
	}
	return append(out, idleSettings(s)...)
}

// idleSettings finds what is set on headless Services in vain (k8s.io/kubernetes,
// pkg/api/service/warnings.go).
func idleSettings(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range s.Services {
		if svc.Spec.ClusterIP != corev1.ClusterIPNone || svc.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		what := ""
		switch {
		case svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP:
			what = "sessionAffinity"
		case len(svc.Spec.ExternalIPs) > 0:
			what = "externalIPs"
		default:
			continue
		}
		out = append(out, checks.Finding{
			Subject:  facts.ServiceRef(svc),
			Message:  fmt.Sprintf("is headless and sets %s, which does nothing", what),
			Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String(), "clusterIP: None, "+what+" set")},
			Remedy:   fmt.Sprintf("Take %s out, or give the Service an address by making it anew without clusterIP: None.", what),
		})
	}
	return out
}

// unread tells whether the objects of a namespace were not asked for.
func unread(s *facts.Snapshot, namespace string) bool {
	return s.Scope != "" && s.Scope != namespace
}
