package coredns

import (
	"cmp"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Reverse finds CoreDNS that does not know which name the address of a Service has.
var Reverse = &checks.Check{
	ID:       "dns-probe-reverse",
	Title:    "The addresses of Services have names",
	Severity: checks.Info, // few programs ask for it
	URL:      "https://coredns.io/plugins/kubernetes/",
	Needs:    []*facts.Source{facts.SystemPods, facts.Answers},
	MayUse:   []*facts.Source{facts.ConfigMaps},
	When:     noReverseName,
	ByHand: []string{"kubectl -n kube-system port-forward pod/POD 1053:53",
		"dig +tcp @127.0.0.1 -p 1053 -x CLUSTER_IP # meanwhile, in another terminal",
		"kubectl -n kube-system get configmap coredns -o yaml"},
	Run: findReverse,
	Doc: `Each CoreDNS pod is asked through a port-forward for the name of the address of Service default/kubernetes (PTR). Who answers for the
cluster's names and not for this one lacks the reverse zones: ` + "`kubernetes cluster.local in-addr.arpa ip6.arpa`" + ` is what Kubernetes' own Corefile has. Without
them the question goes to the servers outside, which tell them who asks and know nothing; where they do not answer, who asks waits for seconds.

Few programs ask: ssh daemons, Kerberos, some databases that check who connects, and tools that write names into logs (tcpdump, netstat).

**How it comes about**: a Corefile written by hand, a zone for in-addr.arpa of its own, or a template that takes such names.

**Cure**: name in-addr.arpa and ip6.arpa behind kubernetes, with ` + "`fallthrough in-addr.arpa ip6.arpa`" + ` in its block if servers outside know names of other
addresses.`,
}

// noReverseName says why there is nothing to judge, or "".
func noReverseName(s *facts.Snapshot) string {
	for _, v := range newFleet(s).servers {
		if s.AnswerOf(v.pod, facts.AnswerReverse) != nil {
			return ""
		}
	}
	return cmp.Or(noServers(s), "no CoreDNS pod was asked for the name of a Service's address")
}

func findReverse(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, list := range replies(s) {
		for _, r := range list {
			a := s.AnswerOf(r.pod, facts.AnswerReverse)
			named := a != nil && a.Err == "" && a.Rcode == "NOERROR" && len(a.Records) > 0
			if a == nil || named || r.answer.Err != "" || r.answer.Rcode != "NOERROR" {
				continue // where the cluster's names are unknown, too, that is what is wrong
			}
			f := checks.Finding{
				Subject: owner(r.pod), Places: []facts.Ref{r.pod.Ref()},
				Message:  "does not know the names of Services' addresses",
				Evidence: []checks.Evidence{r.quoteAnswer(a)},
				Remedy:   "Look which block and which plugin of the Corefile take names of in-addr.arpa or ip6.arpa before kubernetes does.",
			}
			if c, without := zoneless(s, r.pod, a.Name); without {
				f.Subject = configRef(c.cm)
				f.Message = "serves no names of addresses: the zones in-addr.arpa and ip6.arpa are missing"
				f.Remedy = "Name in-addr.arpa and ip6.arpa behind kubernetes: " + c.edit() + "."
			}
			out = told(out, f)
		}
	}
	return out
}

// zoneless returns the configuration of a server, and whether its plugin kubernetes has no
// zone for a name.
func zoneless(s *facts.Snapshot, p *facts.Pod, name string) (config, bool) {
	for _, c := range configs(s) {
		if !slices.ContainsFunc(c.servers, func(v server) bool { return v.pod == p }) || !c.has("kubernetes") {
			continue
		}
		for _, b := range c.file.Blocks {
			for _, d := range b.Find("kubernetes") {
				if within(b.Origins(d.Args), name) {
					return c, false
				}
			}
		}
		return c, true
	}
	return config{}, false
}
