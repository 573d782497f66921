package symptom

import (
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// DNSProbeExternal finds a cluster DNS that gets no answers from servers which answer pods.
var DNSProbeExternal = &checks.Check{
	ID:       "dns-probe-external-fails",
	Title:    "Cluster DNS resolves names outside the cluster where the nodes' nameservers do",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.Pods, facts.SystemServices, facts.Configz, facts.Nodes, facts.NetworkPolicies},
	Parts:    tries.Parts(outsideUnasked),
	When:     noWayOut,
	ByHand: []string{"kubectl run dns --rm -it --restart=Never --image=busybox:1.36 -- nslookup example.com. ADDRESS # of the DNS Service, then of a server that it forwards to",
		"kubectl -n kube-system get configmap coredns -o jsonpath='{.data.Corefile}'",
		"kubectl -n kube-system logs -l k8s-app=kube-dns --tail=500 | grep plugin/errors"},
	Run: findDNSExternal,
	Doc: `Pods asked cluster DNS for a name outside the cluster, and got SERVFAIL or nothing in time, while it answers for names of the cluster. The nameservers that
nodes hand to their pods answer the same question when a pod asks them directly. So names outside can be resolved from here, and cluster DNS does not.

A cluster without a way out, in which nobody answers, is not sick, nor is one whose Corefile forwards nothing: neither is told. That a
name does not exist (NXDOMAIN) is an answer. Where the nodes' nameservers do not answer either, see **node-upstream-dns-dead**.

**How it comes about**: the Corefile forwards to other servers than the nodes use, and these are gone or do not let pods in; the CoreDNS pods started
when the node's resolv.conf named other servers, which they keep; they are on a node from which those do not answer; they forward to themselves
(**coredns-loop**); a NetworkPolicy keeps them inside.

**Cure**: that of the cause. Until then, forward to servers that answer: ` + "`kubectl -n kube-system edit configmap coredns`" + `.`,
}

// noWayOut says that names outside are not to be resolved, or cannot be from here.
func noWayOut(s *facts.Snapshot) string {
	if why := dnsOutside(s); why != "" {
		return why
	}
	if len(tries.Of(s, anything)) > 0 && !resolves(s) && !slices.ContainsFunc(s.Tries, unsentUpstream) {
		return "no nameserver of a node told pods of a name outside the cluster, so that cluster DNS cannot do better"
	}
	if keepsInside(s) {
		return "the Corefile forwards nothing, so that names outside the cluster are not to resolve"
	}
	return ""
}

func anything(facts.Try) bool { return true }

// unsentUpstream tells whether a nameserver of a node was to be asked, and the time was over.
func unsentUpstream(t facts.Try) bool {
	return !t.Host && t.Target == facts.TargetUpstream && t.Sent == 0
}

// resolves tells whether a nameserver of a node told any pod of a name outside.
func resolves(s *facts.Snapshot) bool { return len(tries.Of(s, resolvedUpstream)) > 0 }

// outsideUnasked says that a node did not ask for a name outside, or is not answered anyway, or
// that nothing tells whether names outside resolve at all.
func outsideUnasked(s *facts.Snapshot, node string) string {
	if len(outside(s, node)) == 0 {
		return "it did not ask the DNS Service for a name outside the cluster"
	}
	if !resolves(s) {
		return "the time was over before all nameservers of the nodes were asked, so that whether names outside resolve at all is not known"
	}
	for _, a := range askedBy(s) {
		if a.node == node && a.unsteady(certain(s)) {
			return "cluster DNS does not answer all of its questions for names of the cluster either"
		}
	}
	return ""
}

// unsteady tells whether the Service fails questions for names of the cluster as well, so that
// one for another name may fail for the same reason.
func (a asked) unsteady(nx bool) bool {
	lost := 0
	for _, t := range a.service {
		lost += t.Lost
	}
	return judge(a.service, nx) != 0 || lost >= fewLost
}

func outside(s *facts.Snapshot, node string) []facts.Try {
	return slices.DeleteFunc(tries.From(s, node, facts.TargetDNSService), func(t facts.Try) bool { return strings.HasPrefix(t.Name, ownName) })
}

func findDNSExternal(s *facts.Snapshot) []checks.Finding {
	upstream := tries.Of(s, resolvedUpstream)
	if tries.Held(s) != "" || len(upstream) == 0 {
		return nil
	}
	f := checks.Finding{Subject: facts.ClusterDNS(), Message: "does not resolve names outside the cluster, although nameservers of the nodes answer pods",
		Remedy: "See which servers the Corefile forwards to, and ask them from a pod on the node of a CoreDNS pod. If it forwards to /etc/resolv.conf, re-create the CoreDNS pods, " +
			"which keep the file that they started with."}
	asked, failing := 0, 0
	nx := certain(s)
	for _, a := range askedBy(s) {
		if a.unsteady(nx) {
			continue // it may fail for any name
		}
		for _, t := range outside(s, a.node) {
			asked++
			if !t.Dead() && t.Rcode != "SERVFAIL" {
				continue
			}
			failing++
			f.Evidence = append(f.Evidence, tries.Quote(t))
			if failing == 1 {
				f.Evidence = append(f.Evidence, tries.Quotes(a.service, 1)...)
			}
		}
	}
	if failing == 0 {
		return nil
	}
	if failing < asked {
		f.Severity, f.Message = checks.Warning, "does not always resolve names outside the cluster, although nameservers of the nodes answer pods"
	}
	f.Evidence = slices.Concat(f.Evidence[:min(len(f.Evidence), 4)], tries.Quotes(upstream, 2), quoteForwards(s))
	return []checks.Finding{f}
}

// resolvedUpstream tells whether a nameserver of a node said of a name what there is to say.
func resolvedUpstream(t facts.Try) bool {
	return t.Target == facts.TargetUpstream && !t.Dead() && (t.Rcode == "NOERROR" || t.Rcode == "NXDOMAIN")
}

// keepsInside tells whether the Corefile is known and forwards nothing.
func keepsInside(s *facts.Snapshot) bool {
	_, text := s.Corefile()
	file, err := corefile.Parse(text)
	return text != "" && err == nil && len(file.Imports) == 0 && len(forwards(file)) == 0
}

// forwards returns the lines of a Corefile that send questions elsewhere.
func forwards(file *corefile.File) []string {
	var out []string
	for _, b := range file.Blocks {
		for _, d := range append(b.Find("forward"), b.Find("proxy")...) {
			out = append(out, strings.Join(append([]string{d.Name}, d.Args...), " "))
		}
	}
	return out
}

// quoteForwards tells where cluster DNS asks, as far as its Corefile is known.
func quoteForwards(s *facts.Snapshot) []checks.Evidence {
	cm, text := s.Corefile()
	file, err := corefile.Parse(text)
	if cm == nil || err != nil {
		return nil
	}
	var out []checks.Evidence
	for _, line := range forwards(file) {
		out = append(out, checks.Quote("ConfigMap "+cm.Namespace+"/"+cm.Name+", Corefile", line))
	}
	return out[:min(len(out), 2)]
}
