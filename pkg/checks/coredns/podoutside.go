package coredns

import (
	"cmp"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// PodOutside finds CoreDNS pods that do not resolve a name outside the cluster that other
// replicas do resolve.
var PodOutside = &checks.Check{
	ID:       "coredns-pod-outside",
	Title:    "What one replica of CoreDNS resolves outside the cluster, the others resolve as well",
	Severity: checks.Warning,
	URL:      "https://coredns.io/plugins/forward/",
	Needs:    []*facts.Source{facts.SystemPods, facts.Answers},
	When:     noOutsideName,
	Explains: []*checks.Check{ServfailRate, Latency, symptom.DNSProbeExternal},
	ByHand: []string{"kubectl -n kube-system port-forward pod/POD 1053:53",
		"dig +tcp @127.0.0.1 -p 1053 kubernetes.io # meanwhile, in another terminal",
		"kubectl debug node/NODE -it --image=busybox:1.36 -- cat /host/etc/resolv.conf"},
	Run: findPodOutside,
	Doc: `Each CoreDNS pod, ten at most, is asked through a port-forward for a name outside the cluster: kubernetes.io, or what
--outside-name says (nothing is asked where that is empty). The question goes to CoreDNS, and from there to the servers that it forwards to; this
doctor sends it nowhere else. A replica that gets no answer (SERVFAIL, REFUSED, nothing in five seconds) while another does is a finding, and so is
one that hears that the name does not exist, while another gets an address.

That no replica resolves it is none: in a cluster without a way out it is as it should be. Where something is wrong there, questions
pile up in the log: **coredns-upstream-failing**.

**How it comes about**: CoreDNS forwards to the nameservers of the resolv.conf of its own node, and that of one node differs: an old
server, a VPN's, systemd-resolved's. Or packets from the pods of that node do not get out, or only UDP does: CoreDNS asks on in the way it was
asked, so that this is a question over TCP.

**Cure**: compare the resolv.conf of the nodes (the file that resolvConf of the kubelet names), and ask its servers from the node and from a pod
there. CoreDNS keeps what it started with: delete the pod once the file is right.`,
}

// noOutsideName says why there is nothing to compare, or "".
func noOutsideName(s *facts.Snapshot) string {
	for _, v := range newFleet(s).servers {
		if s.AnswerOf(v.pod, facts.AnswerOutside) != nil {
			return ""
		}
	}
	return cmp.Or(noServers(s), "no CoreDNS pod was asked for a name outside the cluster")
}

// How good an answer for a name outside is: that it does not exist is one, too.
const (
	noAnswer = iota
	noSuchName
	found
)

func goodness(a *facts.Answer) int {
	switch {
	case a.Err == "" && a.Rcode == "NOERROR":
		return found
	case a.OK():
		return noSuchName
	}
	return noAnswer
}

func findPodOutside(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, list := range outsideReplies(s) {
		best := slices.MaxFunc(list, func(x, y reply) int { return cmp.Compare(goodness(x.answer), goodness(y.answer)) })
		for _, r := range list {
			if goodness(r.answer) == goodness(best.answer) {
				continue
			}
			f := checks.Finding{
				Subject:  r.pod.Ref(),
				Message:  "gets no answer for a name outside the cluster, while another replica does",
				Evidence: []checks.Evidence{r.quoteAnswer(r.answer), best.quoteAnswer(best.answer)},
				Remedy: checks.Command("Compare the resolv.conf of node %s with that of node %s, and ask its servers from a pod on each, over TCP: a server is dead, or packets do not get out.",
					r.pod.Node, best.pod.Node),
			}
			if goodness(r.answer) == noSuchName {
				f.Message = "hears that a name outside the cluster does not exist, while another replica gets its address"
				f.Remedy = checks.Command("Compare the resolv.conf of node %s with that of node %s: its servers do not know what the others know.", r.pod.Node, best.pod.Node)
			}
			out = append(out, f)
		}
	}
	return out
}

// outsideReplies returns, by what they belong to, the answers of the servers that clients
// are sent to and that are otherwise well.
func outsideReplies(s *facts.Snapshot) [][]reply {
	var out [][]reply
	for _, list := range replies(s) {
		var group []reply
		for _, r := range list {
			a := s.AnswerOf(r.pod, facts.AnswerOutside)
			if a != nil && r.pod.Ready && !r.pod.HostNetwork && r.answer.OK() {
				group = append(group, reply{server: r.server, answer: a})
			}
		}
		if len(group) > 0 {
			out = append(out, group)
		}
	}
	return out
}
