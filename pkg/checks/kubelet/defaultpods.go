package kubelet

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// DefaultPods finds applications that ask themselves for names, because they get the
// nameservers of a node that names a loopback address.
var DefaultPods = &checks.Check{
	ID:       "pod-dnspolicy-default-broken",
	Title:    "Applications with the node's nameservers get ones that answer them",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy",
	Needs:    []*facts.Source{facts.Configz, facts.Nodes, facts.Pods},
	MayUse:   []*facts.Source{facts.Files},
	Parts:    resolvConfParts,
	When:     filesToRead,
	ByHand: []string{"kubectl -n NAMESPACE exec POD -- cat /etc/resolv.conf",
		"kubectl get pods -A -o jsonpath='{range .items[?(@.spec.dnsPolicy==\"Default\")]}{.metadata.namespace}/{.metadata.name} {.spec.nodeName}{\"\\n\"}{end}'"},
	Run: findDefaultPods,
	Doc: `A pod with ` + "`dnsPolicy: Default`" + ` asks the nameservers of its node. Where these are loopback addresses, as with systemd-resolved or
dnsmasq, the pod asks itself: nobody listens there, and no name resolves in it, neither the cluster's nor others.

**How it comes about**: the kubelet reads a file that is right for the node's own programs alone (**kubelet-resolvconf-loopback**, which
this is told below where it is found).

**Cure**: that of the kubelet, for all pods. For these alone: dnsPolicy ClusterFirst, or None with nameservers in dnsConfig.`,
}

func findDefaultPods(s *facts.Snapshot) []checks.Finding {
	loops := map[string][]string{}
	for _, n := range s.LinuxNodes() {
		given, known := servers(s, n.Name)
		if of := loopbacks(given); known && len(of) > 0 && len(of) == len(given) {
			loops[n.Name] = of
		}
	}
	var out []checks.Finding
	at := map[facts.Ref]int{}
	for _, p := range s.Pods {
		if loops[p.Node] == nil || p.DNSPolicy != corev1.DNSDefault || p.HostNetwork || p.Finished() || runsDNS(p) ||
			p.DNSConfig != nil && len(p.DNSConfig.Nameservers) > 0 {
			continue
		}
		subject := p.Owner
		if subject.Kind == "" {
			subject = p.Ref()
		}
		i, told := at[subject]
		if !told {
			i = len(out)
			at[subject] = i
			out = append(out, checks.Finding{
				Subject: subject,
				Message: "has a loopback address as its only nameserver: no name resolves in its pods",
				Evidence: []checks.Evidence{checks.Quote(p.Ref().String(), "dnsPolicy: Default, on node "+p.Node),
					checks.Quote("Node "+p.Node+", what its kubelet gives pods", "nameserver "+strings.Join(loops[p.Node], ", "))},
				Remedy: "Give the kubelet of that node a resolvConf with real servers, and make the pods anew; or set dnsPolicy: ClusterFirst in their template.",
			})
		}
		if !slices.Contains(out[i].Places, p.Ref()) {
			out[i].Places = append(out[i].Places, p.Ref())
		}
	}
	return out
}
