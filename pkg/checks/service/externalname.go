package service

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ExternalName finds Services that are another name for something, and the other name
// does not resolve.
var ExternalName = &checks.Check{
	ID:       "service-externalname",
	Title:    "Every Service of type ExternalName leads to a name that can be resolved",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service/#externalname",
	Needs:    []*facts.Source{facts.Services},
	MayUse:   []*facts.Source{facts.Configz},
	ByHand:   []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.externalName}'", "kubectl run dns --rm -it --restart=Never --image=busybox:1.36 -- nslookup SERVICE.NAMESPACE"},
	Run:      findExternalName,
	Doc: `For a Service of type ExternalName cluster DNS answers with another name (a CNAME record), and the client resolves that one. There is
no proxy and no endpoint. The other name is taken as it stands: search domains are for what a program asks, not for what a CNAME says.

**How it comes about**: externalName is an IP address, which is no name: CoreDNS answers with nothing (plugin/kubernetes); it is a name
inside the cluster without the cluster's domain ("db", "db.prod.svc"); it is the Service's own name, or that of one that leads back to it; it
is a Service that does not exist.

Names outside are not looked at. Those inside the cluster are held against its Services where the kubelets' clusterDomain is known.

**Cure**: for an address, make a Service without a selector and an EndpointSlice with that address. For a Service in another namespace write
its whole name, with the cluster's domain.`,
}

func findExternalName(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	domains := clusterDomains(s)
	for _, svc := range s.Services {
		if svc.Spec.Type != corev1.ServiceTypeExternalName || svc.DeletionTimestamp != nil || s.Taken.Sub(svc.CreationTimestamp.Time) < grace {
			continue
		}
		message, remedy := astray(s, svc, domains)
		if message == "" {
			continue
		}
		out = append(out, checks.Finding{
			Subject: facts.ServiceRef(svc), Message: message, Remedy: remedy,
			Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String()+", externalName", svc.Spec.ExternalName)},
		})
	}
	return out
}

// astray says why a Service's other name does not resolve, and what to do.
func astray(s *facts.Snapshot, svc *corev1.Service, domains []string) (message, remedy string) {
	name := dnsName(svc.Spec.ExternalName)
	whole := "its whole name, SERVICE.NAMESPACE.svc and the cluster's domain"
	if len(domains) > 0 {
		whole = "its whole name, SERVICE.NAMESPACE.svc." + domains[0]
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "leads to an IP address, which is no name: cluster DNS answers with nothing",
			fmt.Sprintf("Make the Service one without a selector, with an EndpointSlice that holds %s.", name)
	}
	if strings.HasSuffix(name, ".svc") || short(s, svc, name) {
		return fmt.Sprintf("leads to %q, which is not a whole name: search domains do not apply to it", svc.Spec.ExternalName),
			"Set externalName to " + whole + "."
	}
	to, inside := named(name, domains)
	switch target := s.Service(to.Namespace, to.Name); {
	case !inside:
	case target == nil && (s.Scope == "" || s.Scope == to.Namespace || facts.SystemNamespace(to.Namespace)):
		return fmt.Sprintf("leads to %s, which does not exist", to), fmt.Sprintf("Make %s, or set externalName to the Service that is meant.", to)
	case target != nil && returns(s, svc, domains):
		return "leads back to itself: the names form a circle", "Set externalName to the Service that serves in the end, not to one of type ExternalName that leads back here."
	}
	return "", ""
}

// short tells whether a name is that of a Service as a pod may ask for it, SERVICE or
// SERVICE.NAMESPACE.
func short(s *facts.Snapshot, svc *corev1.Service, name string) bool {
	to, namespace, found := strings.Cut(name, ".")
	if !found {
		namespace = svc.Namespace
	}
	target := s.Service(namespace, to)
	return target != nil && target != svc
}

// returns tells whether the names that one after another leads to end where they began.
func returns(s *facts.Snapshot, svc *corev1.Service, domains []string) bool {
	seen := map[facts.Ref]bool{}
	for next := svc; next != nil && next.Spec.Type == corev1.ServiceTypeExternalName; {
		if seen[facts.ServiceRef(next)] {
			return seen[facts.ServiceRef(svc)] && next == svc
		}
		seen[facts.ServiceRef(next)] = true
		to, inside := named(dnsName(next.Spec.ExternalName), domains)
		if !inside {
			return false
		}
		next = s.Service(to.Namespace, to.Name)
	}
	return false
}

// named returns the Service that a name inside the cluster means: SERVICE.NAMESPACE.svc.DOMAIN,
// or a pod's name before that.
func named(name string, domains []string) (facts.Ref, bool) {
	for _, d := range domains {
		rest, found := strings.CutSuffix(name, ".svc."+d)
		part := strings.Split(rest, ".")
		if n := len(part); found && (n == 2 || n == 3) {
			return facts.Ref{Kind: "Service", Namespace: part[n-1], Name: part[n-2]}, true
		}
	}
	return facts.Ref{}, false
}

// clusterDomains returns the domains that the kubelets give their pods.
func clusterDomains(s *facts.Snapshot) []string {
	set := map[string]bool{}
	for _, k := range s.Configz {
		if d := dnsName(k.ClusterDomain); d != "" {
			set[d] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func dnsName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
