package symptom

import (
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// DNSDelay finds pods that lose some of their questions to cluster DNS.
var DNSDelay = &checks.Check{
	ID:       "dns-5s-delay",
	Title:    "No question to cluster DNS is lost",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/#motivation",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Pods, facts.SystemServices, facts.Configz, facts.Nodes, facts.NetworkPolicies},
	Parts:    tries.Parts(delayUnknown),
	When:     dnsOutside,
	ByHand: []string{"kubectl run dns --rm -it --restart=Never --image=busybox:1.36 -- sh -c 'for i in $(seq 20); do time nslookup kubernetes.default; done'",
		"conntrack -S # on the node: insert_failed and drop"},
	Run: findDNSDelay,
	Doc: `Of ten questions over UDP that a pod sent to cluster DNS, for A and AAAA at once from one socket as resolvers do, some were answered and others were not, at least two in all,
while every connection over TCP was. A resolver waits five seconds before it asks again, so that programs stand still for so long now and then.

**Lost at the Service's address alone**: two packets of one socket, such as the questions for A and AAAA, reached the rules of Services at the same time, and
the kernel dropped one of them (kubernetes/kubernetes#56903; conntrack -S counts insert_failed), or the table of connections is full. **Lost
on the way to the DNS pods as well**: the network between loses packets, or CoreDNS does not keep up. Where single DNS pods answer nobody, that is
**dns-probe-cluster-fails**.

**Cure**: NodeLocal DNSCache spares questions the rules and goes on to CoreDNS over TCP. glibc's option single-request-reopen (dnsConfig of the pod) makes each
question have a socket of its own. Else find where packets are lost.`,
}

// delayUnknown says that a node did not ask, or that what is lost tells of something graver.
func delayUnknown(s *facts.Snapshot, node string) string {
	if why := unasked(s, node); why != "" {
		return why
	}
	all, nx := askedBy(s), certain(s)
	_, ill := sickServers(all, nx)
	for _, a := range all {
		if a.node == node && (len(ill) > 0 || a.scene(ill, nx).what != 0) {
			return "cluster DNS fails it, so that single losses tell nothing"
		}
	}
	return ""
}

// fewLost is what any network loses.
const fewLost = 2

func findDNSDelay(s *facts.Snapshot) []checks.Finding {
	if tries.Held(s) != "" {
		return nil
	}
	all, nx := askedBy(s), certain(s)
	_, ill := sickServers(all, nx)
	if len(ill) > 0 {
		return nil
	}
	var out []checks.Finding
	lost := 0
	for _, a := range all {
		if a.scene(ill, nx).what != 0 {
			continue
		}
		atService, atPods := leaky(a.service), 0
		f := checks.Finding{Subject: facts.NodeRef(a.node), Evidence: tries.Quotes(lossy(a.service), 2)}
		for p, list := range a.pods {
			if n := leaky(list); n > 0 {
				atPods += n
				f.Places = append(f.Places, p.Ref())
				f.Evidence = append(f.Evidence, tries.Quotes(lossy(list), 1)...)
			}
		}
		if atService+atPods == 0 {
			continue
		}
		lost += atService + atPods
		slices.SortFunc(f.Places, facts.Ref.Compare)
		slices.SortFunc(f.Evidence, func(x, y checks.Evidence) int { return strings.Compare(x.Text, y.Text) })
		f.Message, f.Remedy = delayWords(atPods)
		out = append(out, f)
	}
	if lost < fewLost {
		return nil
	}
	return out
}

func delayWords(atPods int) (message, remedy string) {
	if atPods > 0 {
		return "runs pods some of whose questions to cluster DNS are lost, also on the way to the DNS pods directly: each costs them five seconds",
			"Find out where packets are lost: errors and drops of the interfaces (ip -s link), conntrack -S, the CPU limit of CoreDNS."
	}
	return "runs pods some of whose questions to the DNS Service are lost, and none of those to the DNS pods: each costs them five seconds",
		"Look at conntrack -S on the node (insert_failed, drop) and at how full its table is; NodeLocal DNSCache spares questions that way."
}

// lossy returns the tries over UDP of which some were answered and some not, unless TCP lost
// any as well.
func lossy(list []facts.Try) []facts.Try {
	if slices.ContainsFunc(list, func(t facts.Try) bool { return t.Kind == facts.TryDNSTCP && t.Lost > 0 }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(list), func(t facts.Try) bool { return t.Kind != facts.TryDNSUDP || t.Lost == 0 || t.Dead() })
}

func leaky(list []facts.Try) int {
	n := 0
	for _, t := range lossy(list) {
		n += t.Lost
	}
	return n
}
