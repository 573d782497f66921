package kubelet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ClusterDNSMismatch finds kubelets that send pods to an address where no DNS server
// is.
var ClusterDNSMismatch = &checks.Check{
	ID:       "kubelet-clusterdns-mismatch",
	Title:    "Kubelets give pods the address of the cluster's DNS Service",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/",
	Needs:    []*facts.Source{facts.Configz, facts.Services, facts.Nodes},
	MayUse:   []*facts.Source{facts.Pods},
	Parts:    configzParts,
	When:     noDNSService,
	Explains: []*checks.Check{symptom.DNSDown},
	ByHand: []string{"kubectl -n kube-system get service kube-dns -o jsonpath='{.spec.clusterIPs}'",
		`kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`,
		"grep -A2 clusterDNS /var/lib/kubelet/config.yaml # on the node",
		"kubectl exec POD -- cat /etc/resolv.conf"},
	Run: findMismatch,
	Doc: `The kubelet writes ` + "`clusterDNS`" + ` of its configuration into the resolv.conf of every pod with ` + "`dnsPolicy: ClusterFirst`" + `,
the default. It must be the cluster IP of the DNS Service, or the address of a cache on the node. Where it is another one, CoreDNS
and its Service are in perfect health and no name resolves in the pods of that node.

How it comes about: a typing error in the configuration of some nodes (10.3.0.1 for 10.3.0.10), a package or a template of
another cluster that overwrites it, a Service that was made anew and got another address.

Cure: set ` + "`clusterDNS`" + ` in /var/lib/kubelet/config.yaml (or --cluster-dns in the kubelet's arguments) to the Service's address
and restart the kubelet. Set it in ConfigMap kube-system/kubelet-config too, or the next ` + "`kubeadm upgrade node`" + ` brings the old
one back. Pods keep the resolv.conf that they started with: re-create them. If all nodes agree on one address and the Service is
what changed, delete the Service and create it again with ` + "`clusterIP`" + ` set to that address.`,
}

// noDNSService says why there is nothing to compare with.
func noDNSService(s *facts.Snapshot) string {
	if len(addresses(s)) == 0 {
		return "the cluster has no DNS Service with an address"
	}
	return ""
}

func findMismatch(s *facts.Snapshot) []checks.Finding {
	services, listens := addresses(s), s.DNSListeners()
	answered := func(ip string) bool {
		return listens(ip) || slices.ContainsFunc(services, func(a address) bool { return facts.SameIP(a.ip, ip) })
	}
	var out []checks.Finding
	for _, n := range s.Nodes {
		config := s.Configz[n.Name]
		if config == nil || len(config.ClusterDNS) == 0 || slices.ContainsFunc(config.ClusterDNS, answered) {
			continue
		}
		out = append(out, mismatch(s, n.Name, config.ClusterDNS, services))
	}
	return out
}

func mismatch(s *facts.Snapshot, node string, given []string, services []address) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(node),
		Message: "tells its pods to ask a DNS server that does not exist",
		Remedy: fmt.Sprintf("Set clusterDNS: [%s] in the node's /var/lib/kubelet/config.yaml, restart the kubelet, then re-create the pods there.",
			services[0].ip),
		Evidence: []checks.Evidence{checks.Quote("Node "+node+", kubelet configz", "clusterDNS: "+strings.Join(given, ", "))},
	}
	for _, a := range services {
		f.Evidence = append(f.Evidence, checks.Quote(a.service.String(), "clusterIP: "+a.ip))
	}
	for _, svc := range s.Services {
		for _, ip := range facts.ClusterIPs(svc) {
			if slices.Contains(given, ip) {
				f.Evidence = append(f.Evidence, checks.Quote(facts.ServiceRef(svc).String(), "clusterIP: "+ip+"; it does not serve port 53"))
			}
		}
	}
	return f
}

// address is one address of a DNS Service.
type address struct {
	ip      string
	service facts.Ref
}

// addresses returns where the DNS Services listen.
func addresses(s *facts.Snapshot) []address {
	var out []address
	for _, svc := range s.DNSServices() {
		for _, ip := range facts.ClusterIPs(svc) {
			if facts.ServesDNS(svc) {
				out = append(out, address{ip, facts.ServiceRef(svc)})
			}
		}
	}
	return out
}
