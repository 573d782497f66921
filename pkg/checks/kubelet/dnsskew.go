package kubelet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// DNSSkew finds nodes whose pods are told other things about DNS than those of the others.
var DNSSkew = &checks.Check{
	ID:       "kubelet-dns-skew",
	Title:    "All kubelets tell their pods the same about DNS",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/",
	Needs:    []*facts.Source{facts.Configz, facts.Nodes},
	MayUse:   []*facts.Source{facts.Services, facts.Pods, facts.ConfigMaps, facts.Files},
	Parts:    configzParts,
	ByHand: []string{`for n in $(kubectl get nodes -o name | cut -d/ -f2); do kubectl get --raw "/api/v1/nodes/$n/proxy/configz"; done`,
		"grep -A3 -E 'clusterDNS|clusterDomain|resolvConf' /var/lib/kubelet/config.yaml # on the node"},
	Run: findDNSSkew,
	Doc: `What a pod is told about DNS comes from the kubelet of its node. Where kubelets differ, the same pod works on one node and not on
another, and a restart seems to cure it.

**Another server beside cluster DNS** in ` + "`clusterDNS`" + ` is the worst of it: it knows no Service. musl (Alpine) asks all servers at once and takes
the first answer, which may be its NXDOMAIN; glibc asks it when the first is slow. **Another domain** gives pods other search
paths. **Other nameservers in the node's file** make names outside depend on where CoreDNS happens to run; that may be meant, so it is only
told as information, and only where more than half of the nodes agree.

Left out is what other checks tell: addresses where no DNS server is (**kubelet-clusterdns-mismatch**), domains that CoreDNS does not serve
(**kubelet-clusterdomain-mismatch**), loopback addresses (**kubelet-resolvconf-loopback**). A cache on the node in place of the
DNS Service is no difference.

Cure: give the kubelet what the others have, in /var/lib/kubelet/config.yaml of the node, restart it, and re-create the pods there: they keep
the resolv.conf that they started with. With kubeadm, ConfigMap kube-system/kubelet-config is what all nodes should have.`,
}

func findDNSSkew(s *facts.Snapshot) []checks.Finding {
	return slices.Concat(otherServers(s), otherDomains(s), otherUpstreams(s))
}

// otherServers finds kubelets that hand out another server beside cluster DNS, where some do
// not.
func otherServers(s *facts.Snapshot) []checks.Finding {
	services, listens := addresses(s), s.DNSListeners()
	ours := func(ip string) bool {
		return listens(ip) || slices.ContainsFunc(services, func(a address) bool { return facts.SameIP(a.ip, ip) })
	}
	var pure string // a node that hands out cluster DNS alone
	var mixed []string
	own, foreign := map[string][]string{}, map[string][]string{}
	for _, n := range s.Nodes {
		config := s.Configz[n.Name]
		if config == nil || !slices.ContainsFunc(config.ClusterDNS, ours) {
			continue
		}
		for _, ip := range config.ClusterDNS {
			if ours(ip) {
				own[n.Name] = append(own[n.Name], ip)
			} else {
				foreign[n.Name] = append(foreign[n.Name], ip)
			}
		}
		if len(foreign[n.Name]) > 0 {
			mixed = append(mixed, n.Name)
		} else if pure == "" {
			pure = n.Name
		}
	}
	if pure == "" {
		return nil // nobody to compare with: it may be meant
	}
	var out []checks.Finding
	for _, node := range mixed {
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(node),
			Message: "tells its pods to ask another DNS server beside that of the cluster, and other nodes do not: names of Services fail now and then",
			Evidence: []checks.Evidence{given(s, node), given(s, pure),
				checks.Quote("what is no server of cluster DNS", strings.Join(foreign[node], ", "))},
			Remedy: fmt.Sprintf("Set clusterDNS: [%s] in the node's /var/lib/kubelet/config.yaml, restart the kubelet, then re-create the pods there.",
				strings.Join(own[node], ", ")),
		})
	}
	return out
}

func given(s *facts.Snapshot, node string) checks.Evidence {
	return checks.Quote("Node "+node+", kubelet configz", "clusterDNS: "+strings.Join(s.Configz[node].ClusterDNS, ", "))
}

// otherDomains finds kubelets with another domain than most, which CoreDNS serves too, or
// of which nobody knows whether it does.
func otherDomains(s *facts.Snapshot) []checks.Finding {
	_, zones := clusterZones(s)
	alike := newAlike()
	for _, n := range s.Nodes {
		k := s.Configz[n.Name]
		if k != nil && (len(zones) == 0 || slices.Contains(zones, domain(k.ClusterDomain))) {
			alike.add(n.Name, domain(k.ClusterDomain))
		}
	}
	most, others := alike.most()
	var out []checks.Finding
	for _, node := range others {
		f := checks.Finding{
			Subject: facts.NodeRef(node),
			Message: "gives pods another cluster domain than most nodes do",
			Evidence: []checks.Evidence{checks.Quote("Node "+node+", kubelet configz", fmt.Sprintf("clusterDomain: %q", s.Configz[node].ClusterDomain)),
				checks.Quote(fmt.Sprintf("kubelet configz of %d other nodes", alike.count[most]), fmt.Sprintf("clusterDomain: %q", most))},
			Remedy: fmt.Sprintf("Set clusterDomain: %s in the node's /var/lib/kubelet/config.yaml, restart the kubelet, then re-create the pods there.", most),
		}
		if len(zones) > 0 {
			f.Severity = checks.Info // CoreDNS serves both
		}
		out = append(out, f)
	}
	return out
}

// otherUpstreams finds nodes whose file has other nameservers than that of most.
func otherUpstreams(s *facts.Snapshot) []checks.Finding {
	alike := newAlike()
	for _, n := range s.LinuxNodes() {
		list, known := servers(s, n.Name)
		if !known || len(list) == 0 || slices.ContainsFunc(list, corefile.Loopback) {
			continue
		}
		alike.add(n.Name, strings.Join(slices.Sorted(slices.Values(list)), ", "))
	}
	most, others := alike.most()
	var out []checks.Finding
	for _, node := range others {
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(node), Severity: checks.Info,
			Message: "has other nameservers than most nodes: what names outside the cluster resolve to may depend on where CoreDNS runs",
			Evidence: []checks.Evidence{checks.Quote("Node "+node+", "+resolvConf(s, node), "nameserver "+alike.says[node]),
				checks.Quote(fmt.Sprintf("the same of %d other nodes", alike.count[most]), "nameserver "+most)},
			Remedy: "If that is not meant, give the node the nameservers of the others (netplan, NetworkManager or DHCP writes the file), then re-create the CoreDNS pods on it.",
		})
	}
	return out
}

// alike counts which nodes say the same.
type alike struct {
	nodes []string
	says  map[string]string
	count map[string]int
}

func newAlike() *alike { return &alike{says: map[string]string{}, count: map[string]int{}} }

func (a *alike) add(node, said string) {
	a.nodes = append(a.nodes, node)
	a.says[node] = said
	a.count[said]++
}

// most returns what more than half of the nodes say, and the others; none where there is
// no such thing.
func (a *alike) most() (said string, others []string) {
	for what, n := range a.count {
		if 2*n > len(a.nodes) {
			said = what
		}
	}
	if 2*a.count[said] <= len(a.nodes) {
		return "", nil
	}
	for _, node := range a.nodes {
		if a.says[node] != said {
			others = append(others, node)
		}
	}
	return said, others
}
