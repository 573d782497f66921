package kubelet

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// remembered is how old an event may be that speaks of a kubelet's configuration: the API
// server keeps events for an hour.
const remembered = time.Hour

// ClusterDNSEmpty finds kubelets that know no DNS server of the cluster.
var ClusterDNSEmpty = &checks.Check{
	ID:       "kubelet-clusterdns-empty",
	Title:    "Every kubelet has an address of cluster DNS to give to pods",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/",
	Needs:    []*facts.Source{facts.Events, facts.Nodes, facts.Services},
	MayUse:   []*facts.Source{facts.Configz, facts.Pods},
	Parts:    configzParts,
	When:     noWordOfClusterDNS,
	ByHand: []string{"kubectl get events -A --field-selector reason=MissingClusterDNS",
		`kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`,
		"grep -A2 clusterDNS /var/lib/kubelet/config.yaml # on the node"},
	Run: findClusterDNSEmpty,
	Doc: `Pods with ` + "`dnsPolicy: ClusterFirst`" + `, the default, get the addresses of ` + "`clusterDNS`" + ` in the kubelet's configuration. Where the list
is empty the kubelet falls back to the policy Default: the pod starts, with the nameservers of the node and without the
cluster's search path. Names of the outside resolve there, names of Services do not, and all pods are Ready. The kubelet says so in
the event ` + "`MissingClusterDNS`" + ` on the node and on each such pod.

How it comes about: a kubelet that was not joined by kubeadm and whose configuration names no ` + "`clusterDNS`" + `; a configuration file
that another one replaced; ` + "`clusterDns`" + ` and other spellings, which are no key of it.

Cure: set ` + "`clusterDNS`" + ` to the address of the DNS Service and ` + "`clusterDomain`" + ` to the cluster's domain in /var/lib/kubelet/config.yaml
of the node, restart the kubelet, and re-create the pods there: they keep the resolv.conf that they started with.`,
}

// noWordOfClusterDNS also says when there is nothing to go by: where the kubelets'
// configuration is not looked at, events may tell that something is wrong, but not that all
// is well.
func noWordOfClusterDNS(s *facts.Snapshot) string {
	if why := noDNSService(s); why != "" {
		return why
	}
	if s.Depth < facts.Configz.Depth && len(s.EventsOf("MissingClusterDNS")) == 0 {
		return "no event speaks of it, and the kubelets' configuration is looked at only at --depth logs"
	}
	return ""
}

func findClusterDNSEmpty(s *facts.Snapshot) []checks.Finding {
	said := map[string]*facts.Event{}
	for _, e := range s.EventsOf("MissingClusterDNS") {
		if known := said[e.Node]; s.Taken.Sub(e.Seen.Time()) < remembered && (known == nil || e.Seen >= known.Seen) {
			said[e.Node] = e
		}
	}
	var out []checks.Finding
	for _, n := range s.Nodes {
		config, e := s.Configz[n.Name], said[n.Name]
		if config != nil && len(config.ClusterDNS) == 0 || config == nil && e != nil {
			out = append(out, noClusterDNS(s, n.Name, e))
		}
	}
	return out
}

// noClusterDNS expects an event where the kubelet's configuration is not known.
func noClusterDNS(s *facts.Snapshot, node string, e *facts.Event) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(node),
		Message: "gives pods no address of cluster DNS: names of Services do not resolve in those that started there",
		Remedy: "Set clusterDNS: [" + addresses(s)[0].ip + "] in the node's /var/lib/kubelet/config.yaml, restart the kubelet, " +
			"then re-create the pods there.",
	}
	if s.Configz[node] != nil {
		f.Evidence = append(f.Evidence, checks.Quote("Node "+node+", kubelet configz", "clusterDNS: none"))
	}
	if e != nil {
		f.Evidence = append(f.Evidence, checks.Quote(e.About.String()+", event "+e.Reason, e.Message))
	}
	if e == nil && !slices.ContainsFunc(s.PodsOn(node), clusterFirst) {
		f.Severity = checks.Warning // it strikes with the first pod
	}
	return f
}

// clusterFirst tells whether a pod is to ask cluster DNS.
func clusterFirst(p *facts.Pod) bool {
	return !p.Finished() && (p.DNSPolicy == corev1.DNSClusterFirstWithHostNet || p.DNSPolicy == corev1.DNSClusterFirst && !p.HostNetwork)
}
