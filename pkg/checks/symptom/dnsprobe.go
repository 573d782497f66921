package symptom

import (
	"cmp"
	"maps"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// DNSProbeCluster finds pods to which cluster DNS does not answer, or wrongly.
var DNSProbeCluster = &checks.Check{
	ID:       "dns-probe-cluster-fails",
	Title:    "Cluster DNS answers pods on every node",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Pods, facts.SystemServices, facts.SystemDaemonSets, facts.Configz, facts.Nodes, facts.NetworkPolicies},
	Parts:    tries.Parts(unasked),
	When:     dnsOutside,
	Explains: []*checks.Check{DNSDelay},
	ByHand: []string{"kubectl run dns --rm -it --restart=Never --image=busybox:1.36 -- nslookup kubernetes.default.svc.cluster.local. ADDRESS # of the DNS Service, then of each DNS pod",
		"kubectl -n kube-system get service,endpointslices,pods -l k8s-app=kube-dns -o wide"},
	Run: findDNSProbe,
	Doc: `A pod on each of some nodes asked for the name of the API server's Service, over UDP and TCP: at the address of the DNS Service, which all pods
have, and at each Ready pod of cluster DNS itself. Who answers whom tells where to look.

**The DNS pods answer and the Service does not**: what leads from the Service to the pods is amiss, on that node (**service-clusterip-path** tells of
all Services) or for this Service (its selector, its ports, its endpoints). With a DNS pod on the same node alone it is the bridge, which passes
the rules by (net.bridge.bridge-nf-call-iptables). **Pods answer on their own node only**: pods do not reach those on other nodes
(**pod-to-pod-cross-node**). **A pod answers nobody**, not even on its node, or says SERVFAIL: it has lost the API server, or is overwhelmed; every question
that the Service sends there fails. **NXDOMAIN** for a name that exists: it serves another domain than the kubelets hand out, or a plugin
answers before the plugin kubernetes.

**Cure**: that of the cause, which is named above it where it is known.`,
}

func findDNSProbe(s *facts.Snapshot) []checks.Finding {
	if tries.Held(s) != "" {
		return nil
	}
	all, nx := askedBy(s), certain(s)
	out, ill := sickServers(all, nx)
	told := map[scene][]checks.Finding{}
	for _, a := range all {
		if sc := a.scene(ill, nx); sc.what != 0 {
			told[sc] = append(told[sc], a.finding(s, sc, nx))
		}
	}
	for sc, list := range told {
		if len(list) == len(all) && len(all) > 1 {
			list = []checks.Finding{together(sc, list)}
		}
		out = append(out, list...)
	}
	return out
}

// sickServers finds the pods of cluster DNS that answer nobody, or nobody right, wherever
// the questions came from: at least the pod's own node, or two others.
func sickServers(all []asked, nx bool) ([]checks.Finding, map[*facts.Pod]bool) {
	if !slices.ContainsFunc(all, func(a asked) bool { return !a.served(nx) }) {
		return nil, nil
	}
	by := map[*facts.Pod]map[string]reply{}
	said := map[*facts.Pod][]facts.Try{}
	for _, a := range all {
		for p, list := range a.pods {
			if by[p] == nil {
				by[p] = map[string]reply{}
			}
			by[p][a.node] = judge(list, nx)
			said[p] = append(said[p], list...)
		}
	}
	var out []checks.Finding
	ill := map[*facts.Pod]bool{}
	for _, p := range slices.SortedFunc(maps.Keys(by), func(a, b *facts.Pod) int { return a.Ref().Compare(b.Ref()) }) {
		replies := slices.Compact(slices.Sorted(maps.Values(by[p])))
		if _, home := by[p][p.Node]; len(replies) != 1 || replies[0] == 0 || !home && len(by[p]) < 2 {
			continue
		}
		ill[p] = true
		f := checks.Finding{Subject: p.Ref(), Message: podWords(replies[0], said[p]), Evidence: tries.Quotes(bad(said[p], nx), 4), Remedy: podRemedy(said[p])}
		if replies[0] == noTCP {
			f.Severity = checks.Warning
		}
		out = append(out, f)
	}
	return out, ill
}

func podWords(r reply, said []facts.Try) string {
	switch r {
	case silent:
		return "is Ready and answers no question, from whatever node it comes"
	case noUDP:
		return "answers no question over UDP, from whatever node it comes"
	case noTCP:
		return "answers no question over TCP, from whatever node it comes: answers too large for UDP do not arrive"
	}
	return "answers " + rcode(said) + " when asked for the API server's Service, which is there"
}

func podRemedy(said []facts.Try) string {
	if rcode(said) == "NXDOMAIN" {
		return "Compare the zone in the Corefile with clusterDomain of the kubelets, and see which plugin answers before the plugin kubernetes."
	}
	return "Read the pod's log, and what is told of CoreDNS beside this; deleting the pod helps where it has lost the API server."
}

// rcode returns the first answer that is not what it should be.
func rcode(said []facts.Try) string {
	for _, t := range said {
		if amiss(t, true) {
			return t.Rcode
		}
	}
	return "wrongly"
}

// bad returns the tries that went wrong, those without any answer first.
func bad(list []facts.Try, nx bool) []facts.Try {
	out := slices.DeleteFunc(slices.Clone(list), func(t facts.Try) bool { return !t.Dead() && !amiss(t, nx) })
	slices.SortStableFunc(out, func(a, b facts.Try) int { return cmp.Compare(b.Lost*a.Sent, a.Lost*b.Sent) })
	return out
}
