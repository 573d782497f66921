package traffic

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// ServicePath finds nodes on which the address of a Service leads nowhere.
var ServicePath = &checks.Check{
	ID:       "service-clusterip-path",
	Title:    "Services lead pods to what stands behind them, on every node",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#is-the-kube-proxy-working",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Pods, facts.SystemDaemonSets, facts.NetworkPolicies},
	Parts:    tries.Parts(unproven),
	Explains: []*checks.Check{symptom.DNSProbeCluster, coredns.APIUnreachable, coredns.NotSynced},
	ByHand: []string{"kubectl -n default get service,endpointslices",
		"kubectl -n kube-system get pods -l k8s-app=kube-proxy -o wide",
		"iptables-save -t nat | grep KUBE-SERVICES; nft list table ip kube-proxy; ipvsadm -Ln # on the node"},
	Run: unless(findServicePath),
	Doc: `From a pod on the node an API server answers at its own address, and at the address of its Service, default/kubernetes, it does not. What
leads from one to the other are rules of the node, which kube-proxy or what replaces it keeps: they are missing there, old, or are
passed over. Every Service is concerned, cluster DNS as well, unless the finding says otherwise.

**How it comes about**: kube-proxy does not run on the node, crashes or cannot write; another program flushed or replaced its rules (firewalld, a
script, ` + "`iptables-restore`" + `); rules in another backend of iptables come first (iptables-legacy beside nft); a rule before them accepts or drops
the range of Services.

Where the API server's Service answers and that of DNS alone does not, see **dns-probe-cluster-fails**.

**Cure**: that of kube-proxy on the node, where something is wrong with it. Else restart its pod there, which writes all rules anew, and find out
what took them away. ` + "`kubectl netdoctor check --depth host`" + ` compares the rules with the API.`,
}

// unproven says that nothing is known of the way through Services on a node: either was not
// tried, or the API server does not answer at its own address either.
func unproven(s *facts.Snapshot, node string) string {
	direct := tries.From(s, node, facts.TargetAPIServer)
	switch {
	case len(tries.From(s, node, facts.TargetAPIService)) == 0:
		return "it did not try the API server's Service"
	case len(direct) == 0:
		return "it did not try an API server at its own address"
	case !slices.ContainsFunc(direct, func(t facts.Try) bool { return !t.Dead() }) && !slices.ContainsFunc(tries.From(s, node, facts.TargetAPIService), func(t facts.Try) bool { return !t.Dead() }):
		return "no API server answers it at its own address either"
	}
	return ""
}

func findServicePath(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, node := range tries.Nodes(s) {
		through, direct := tries.From(s, node, facts.TargetAPIService), tries.From(s, node, facts.TargetAPIServer)
		for _, t := range through {
			i := slices.IndexFunc(direct, func(d facts.Try) bool { return !d.Dead() && family(d) == family(t) })
			if !t.Dead() || i < 0 {
				continue
			}
			out = append(out, pathFinding(s, t, direct[i]))
			break
		}
	}
	return out
}

func pathFinding(s *facts.Snapshot, through, direct facts.Try) checks.Finding {
	kind := ""
	if slices.ContainsFunc(tries.From(s, through.Node, facts.TargetAPIService), func(t facts.Try) bool { return !t.Dead() }) {
		kind = fmt.Sprintf("IPv%d ", family(through)) // it does from the others
	}
	f := checks.Finding{
		Subject: facts.NodeRef(through.Node), Message: "does not lead its pods from " + kind + "addresses of Services to what stands behind them",
		Evidence: []checks.Evidence{tries.Quote(through), tries.Quote(direct)}, Places: plugins.ProxiesOn(s, through.Node),
		Remedy: "See whether kube-proxy, or what replaces it, runs on the node and what its log says; if nothing is wrong with it, delete its pod there: the new one writes all rules.",
	}
	dns := tries.From(s, through.Node, facts.TargetDNSService)
	if i := slices.IndexFunc(dns, func(t facts.Try) bool { return !t.Dead() && family(t) == family(through) }); i >= 0 {
		f.Message = "does not lead its pods from the address of the API server's Service to an API server; the DNS Service works"
		f.Evidence = append(f.Evidence, tries.Quote(dns[i]))
	} else if len(dns) > 0 {
		f.Evidence = append(f.Evidence, tries.Quote(dns[0]))
	}
	return f
}

// family tells the IP version of what was tried: 4, 6, or 0.
func family(t facts.Try) int {
	switch a, err := netip.ParseAddrPort(t.To); {
	case err != nil:
		return 0
	case a.Addr().Unmap().Is4():
		return 4
	}
	return 6
}
