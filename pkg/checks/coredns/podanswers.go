package coredns

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// PodAnswers finds CoreDNS pods that, asked one by one, do not know the cluster's names.
var PodAnswers = &checks.Check{
	ID:       "coredns-pod-answers",
	Title:    "Every CoreDNS pod answers for the cluster's names",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",
	Needs:    []*facts.Source{facts.SystemPods, facts.Answers},
	MayUse:   []*facts.Source{facts.SystemServices, facts.ConfigMaps, facts.Configz, facts.Proxy, facts.Metrics},
	When:     noServers,
	Parts:    askedParts,
	Explains: []*checks.Check{symptom.DNSDown, symptom.DNSProbeCluster, ServfailRate, Latency, symptom.PodNotReady},
	ByHand: []string{"kubectl -n kube-system port-forward pod/POD 1053:53",
		"dig +tcp @127.0.0.1 -p 1053 kubernetes.default.svc.cluster.local # meanwhile, in another terminal"},
	Run: findPodAnswers,
	Doc: `Each CoreDNS pod that runs, ten at most, is asked through a port-forward for the name that every cluster has,
` + "`kubernetes.default.svc`" + ` in the cluster's domain: no pod is started for it, and neither kube-proxy nor a NetworkPolicy is on the way. Of two
replicas of which one is sick, every other question of every client is lost, or takes five seconds and more, which looks like a
network that fails now and then.

Wrong is an answer SERVFAIL or REFUSED; NXDOMAIN, where the domain is known to be the cluster's; an address that Service
default/kubernetes does not have; no answer in five seconds; and one that takes longer than a second and five times as long as another
replica's (CoreDNS itself takes a second for too long, plugin health). Wrong answers of some replicas while others answer are a warning;
of all, an error.

**How it comes about**: the process hangs, has no processor time, or stands still for want of memory (**coredns-memory-size**); a firewall on its node drops port 53; it may not read what it answers from
(**coredns-rbac**); the Corefile serves another domain (**coredns-zone-mismatch**) or lets another plugin take the names
(**coredns-name-shadowed**): where one of these is found, this is told below it. One that has not read from the API server yet is
**coredns-not-synced**.

That takes ` + "`create` on `pods/portforward`" + `, a right that also reaches every other port of every pod, and may therefore be
withheld. Then a pod whose metrics say that it has answered questions counts as one that answers, and the others are unknown. Plugins that
tell clients apart (acl, view) or listen on some addresses alone (bind) may treat a question from the pod itself in their own way: where such a one is
configured, wrong answers of all replicas alike are unknown, too. So is a pod that answers nothing here while its metrics count answers to
others: the way to it may be what is broken. Questions over UDP are not asked.

**Cure**: that of the cause. Where a single replica is sick and its log does not say why, delete it: a new one takes its place, on another node if that one
is cordoned.`,
}

// askedParts names the answers of the servers that clients are sent to.
func askedParts(s *facts.Snapshot) []checks.Part {
	unsure := map[*facts.Pod]string{}
	for _, list := range replies(s) {
		for _, r := range list {
			if r.wrong != "" {
				unsure[r.pod] = cmp.Or(r.against, r.unsure)
			}
		}
	}
	var out []checks.Part
	for _, v := range newFleet(s).servers {
		answered, _ := v.metric(s, responses, `rcode="NOERROR"`)
		if !serves(v.pod) || s.AnswersOf(v.pod) == nil && answered > 0 {
			continue
		}
		out = append(out, checks.Part{Source: facts.Answers, Key: v.pod.Ref().Key(), Lacks: unsure[v.pod]})
	}
	return slices.Compact(out)
}

func findPodAnswers(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, list := range replies(s) {
		if slices.ContainsFunc(list, reply.right) {
			out = append(out, someWrong(s, list)...)
		} else {
			out = append(out, allWrong(s, list)...)
		}
	}
	return out
}

// someWrong tells of each replica that is sick while another answers.
func someWrong(s *facts.Snapshot, list []reply) []checks.Finding {
	severity := checks.Error
	if slices.ContainsFunc(list, func(r reply) bool { return r.right() && serves(r.pod) }) {
		severity = checks.Warning
	}
	first := quickest(list)
	var out []checks.Finding
	for _, r := range list {
		message := r.wrong + ", while another replica answers"
		switch {
		case r.slow(first):
			message = "takes long to answer for the cluster's names, while another replica answers at once"
		case !r.sick() || r.notSynced(s):
			continue
		}
		out = append(out, checks.Finding{
			Subject: r.pod.Ref(), Severity: severity, Message: message,
			Evidence: []checks.Evidence{r.quoteAnswer(r.answer), first.quoteAnswer(first.answer)}, Remedy: r.remedy(),
		})
	}
	return out
}

// allWrong tells of servers of which none answers.
func allWrong(s *facts.Snapshot, list []reply) []checks.Finding {
	all, severity := ": no replica does better", checks.Error
	for _, p := range s.DNSPods() {
		if serves(p) && owner(p) == owner(list[0].pod) && s.MissingPart(facts.Answers, p.Ref().Key()) != "" {
			all, severity = ": no replica that could be asked does better", checks.Warning
		}
	}
	var out []checks.Finding
	for _, r := range list {
		if r.sick() && !r.notSynced(s) {
			out = told(out, checks.Finding{
				Subject: owner(r.pod), Severity: severity, Places: []facts.Ref{r.pod.Ref()}, Message: r.wrong + all,
				Evidence: []checks.Evidence{r.quoteAnswer(r.answer)}, Remedy: r.remedyForAll(),
			})
		}
	}
	return out
}

// remedy says what to do with one replica that is sick.
func (r reply) remedy() string {
	again := checks.Command("Read its log, then delete it: kubectl -n %s delete pod %s. If the new one on the same node is like it, ", r.pod.Namespace, r.pod.Name)
	if r.answer.Err != "" || r.right() {
		return again + "look at that node: a firewall that drops port 53, or no processor time."
	}
	return again + "look whether pods there reach the API server, and whether the Corefile was changed since the others were started."
}

// remedyForAll says what to do with replicas of which none answers.
func (r reply) remedyForAll() string {
	const look = "read the logs of its pods and look at the Corefile: all replicas are alike."
	if of := owner(r.pod); of.Kind != "Pod" && (r.answer.Err != "" || r.answer.Rcode == "SERVFAIL") {
		return checks.Command("Make its pods anew: kubectl -n %s rollout restart %s %s. Where that does not help, ", of.Namespace, strings.ToLower(of.Kind), of.Name) + look
	}
	return strings.ToUpper(look[:1]) + look[1:]
}
