package kubelet

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ClusterDomainMismatch finds kubelets that give pods another domain than the others do
// and CoreDNS serves.
var ClusterDomainMismatch = &checks.Check{
	ID:       "kubelet-clusterdomain-mismatch",
	Title:    "All kubelets give pods the domain that CoreDNS serves",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/",
	Needs:    []*facts.Source{facts.Configz, facts.ConfigMaps, facts.Nodes},
	Parts:    configzParts,
	When:     noZones,
	ByHand: []string{`kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`,
		"grep clusterDomain /var/lib/kubelet/config.yaml # on the node",
		"kubectl -n kube-system get configmap coredns -o yaml", "kubectl exec POD -- cat /etc/resolv.conf"},
	Run: findDomainMismatch,
	Doc: `The kubelet writes ` + "`clusterDomain`" + ` of its configuration into the search path of pods, so that ` + "`shop`" + ` is asked as
` + "`shop.default.svc.cluster.local`" + `. It must be a zone of CoreDNS's plugin **kubernetes**. Where one node has another domain, short names
of Services resolve in the pods of all other nodes and not in those there (NXDOMAIN); an empty domain leaves the search path
without the cluster's. Upper case and a dot at the end make no difference.

How it comes about: a node that was joined with the configuration of another cluster, or by hand with the default in a cluster
that was made with ` + "`networking.dnsDomain`" + `.

If no kubelet's domain is served, the Corefile is what is wrong: that is **coredns-zone-mismatch**.

Cure: set ` + "`clusterDomain`" + ` in /var/lib/kubelet/config.yaml of the node to the domain of the others, restart the kubelet, and re-create
the pods there: they keep the resolv.conf that they started with.`,
}

// noZones says why there is nothing to compare with.
func noZones(s *facts.Snapshot) string {
	if _, zones := clusterZones(s); len(zones) == 0 {
		return "no Corefile names the zones of the cluster"
	}
	return ""
}

// clusterZones returns the zones for which the Corefile names Services.
func clusterZones(s *facts.Snapshot) (*corev1.ConfigMap, []string) {
	cm, text := s.Corefile()
	file, err := corefile.Parse(text)
	if text == "" || err != nil {
		return cm, nil
	}
	var zones []string
	for _, b := range file.Blocks {
		for _, d := range b.Find("kubernetes") {
			for _, zone := range b.Origins(d.Args) {
				if zone = domain(zone); zone != "" && !strings.HasSuffix(zone, ".arpa") {
					zones = append(zones, zone)
				}
			}
		}
	}
	return cm, zones
}

// domain returns the form in which domains are compared.
func domain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func findDomainMismatch(s *facts.Snapshot) []checks.Finding {
	cm, zones := clusterZones(s)
	served := map[string]bool{}
	for _, zone := range zones {
		served[zone] = true
	}
	right := ""
	for _, n := range s.Nodes {
		if k := s.Configz[n.Name]; k != nil && served[domain(k.ClusterDomain)] {
			right = domain(k.ClusterDomain)
			break
		}
	}
	if right == "" {
		return nil // not one node is at fault, but what CoreDNS serves
	}
	spoken := map[string]bool{}
	var out []checks.Finding
	for _, n := range s.Nodes {
		k := s.Configz[n.Name]
		if k == nil || served[domain(k.ClusterDomain)] {
			continue
		}
		known, looked := spoken[k.ClusterDomain]
		if !looked {
			known = spokenOf(s, domain(k.ClusterDomain))
			spoken[k.ClusterDomain] = known
		}
		if !known {
			out = append(out, domainMismatch(n.Name, k.ClusterDomain, right, cm, zones))
		}
	}
	return out
}

// spokenOf tells whether a Corefile, or what stands beside one to be imported, mentions a
// domain: it may be rewritten, forwarded or served there. Regular expressions write \. for
// a dot.
func spokenOf(s *facts.Snapshot, name string) bool {
	for _, cm := range s.ConfigMaps {
		for key, text := range cm.Data {
			configures := key == "Corefile" || strings.HasSuffix(key, ".server") || strings.HasSuffix(key, ".override")
			if name != "" && configures && strings.Contains(strings.ToLower(strings.ReplaceAll(text, `\`, "")), name) {
				return true
			}
		}
	}
	return false
}

func domainMismatch(node, given, right string, cm *corev1.ConfigMap, zones []string) checks.Finding {
	message := "gives pods a cluster domain that CoreDNS does not serve: names of Services do not resolve there"
	if given == "" {
		message = "gives pods no cluster domain: short names of Services do not resolve there"
	}
	return checks.Finding{
		Subject: facts.NodeRef(node),
		Message: message,
		Remedy: fmt.Sprintf("Set clusterDomain: %s in the node's /var/lib/kubelet/config.yaml, restart the kubelet, "+
			"then re-create the pods there.", right),
		Evidence: []checks.Evidence{
			checks.Quote("Node "+node+", kubelet configz", "clusterDomain: "+strconv.Quote(given)),
			checks.Quote("ConfigMap "+cm.Namespace+"/"+cm.Name+", Corefile", "plugin kubernetes: "+strings.Join(zones, " ")),
		},
	}
}
