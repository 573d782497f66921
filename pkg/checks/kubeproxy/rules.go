package kubeproxy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// RulesMissing holds the rules in the kernel of each node against Services and endpoints.
var RulesMissing = &checks.Check{
	ID:       "kube-proxy-rules-missing",
	Title:    "Every node's kernel leads the Services to their endpoints",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#is-kube-proxy-writing-iptables-rules",
	Needs:    []*facts.Source{facts.Nodes, facts.Services, facts.EndpointSlices, facts.Files},
	MayUse:   []*facts.Source{facts.Pods, facts.DaemonSets, facts.ConfigMaps},
	Parts:    missingParts,
	When:     noRules,
	Explains: []*checks.Check{traffic.ServicePath, symptom.DNSProbeCluster},
	ByHand: []string{"iptables-save -t nat | grep -e '-d CLUSTERIP/32'  # on the node; mode iptables",
		"nft list map ip kube-proxy service-ips | grep CLUSTERIP  # mode nftables", "ipvsadm -Ln  # mode ipvs"},
	Run: findRulesMissing,
	Doc: `kube-proxy turns Services and EndpointSlices into rules of the kernel, on each node for itself. A Service that has ready endpoints and no
rule on a node is dead from there; one whose rule lacks endpoints gets less capacity, or the wrong one.

Compared are all ClusterIPs and NodePorts, for iptables (both back ends), nftables and ipvs. Of Services whose endpoints changed while the nodes were
looked at nothing is said if the rules differ; those with internalTrafficPolicy or externalTrafficPolicy Local, trafficDistribution or topology-aware hints may lead to some
of their endpoints only.

**How it comes about**: kube-proxy on that node is dead, hangs, or cannot reach the API server; somebody flushed the rules (a firewall that was
restarted, iptables-restore without --noflush); rules of one back end hide behind another.

**Cure**: restart kube-proxy on that node: it writes everything anew. If rules vanish again, find who removes them: firewalld, a hardening script.`,
}

// RulesStale finds rules in the kernel that lead to what is no more.
var RulesStale = &checks.Check{
	ID:       "kube-proxy-stale-rules",
	Title:    "No node's kernel leads traffic to endpoints that are gone",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/",
	Needs:    []*facts.Source{facts.Nodes, facts.Services, facts.EndpointSlices, facts.Files},
	MayUse:   []*facts.Source{facts.Pods, facts.DaemonSets, facts.ConfigMaps},
	Parts:    staleParts,
	When:     noRulesOfAll,
	Explains: []*checks.Check{symptom.DNSProbeCluster},
	ByHand:   []string{"iptables-save -t nat | grep KUBE-SEP  # on the node", "nft list table ip kube-proxy", "ipvsadm -Ln"},
	Run:      findRulesStale,
	Doc: `Rules that kube-proxy wrote stay in the kernel until a kube-proxy takes them out. Where it is dead, connections go on to addresses of pods that are
gone: some of them hang, others reach whoever has the address now. After a change of the mode, or where something else has taken kube-proxy's
place, rules of the old mode may still catch traffic first.

**Cure**: restart kube-proxy on the node. What another mode left is removed by ` + "`kube-proxy --cleanup`" + ` there, or by a restart of the node.`,
}

// noRules says why there are no rules to look at, or "".
func noRules(s *facts.Snapshot) string {
	if s.Depth < facts.Host && len(s.Files) == 0 {
		return checks.OnlyAt(facts.Host)
	}
	return unanswerable(s)
}

// rulesParts names the nodes whose rules must be known, and of what is wrong with these the
// Services of which it says nothing since the endpoints changed.
func rulesParts(s *facts.Snapshot, wrong func(ruleSet) []lack) []checks.Part {
	var out []checks.Part
	open := map[string]bool{}
	for _, n := range ruledNodes(s) {
		set, why := rulesOf(s, n)
		if why != "" {
			out = append(out, checks.Part{Source: facts.Files, Key: n, Lacks: why})
			continue
		}
		_, keys := certainly(s, wrong(set))
		for _, key := range keys {
			open[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(open)) {
		out = append(out, checks.Part{Source: facts.Files, Key: key})
	}
	return out
}

func missingParts(s *facts.Snapshot) []checks.Part {
	want := wantedFronts(s)
	return rulesParts(s, func(set ruleSet) []lack { return set.missing(want) })
}

func staleParts(s *facts.Snapshot) []checks.Part {
	stale := staleIn(s, wantedFronts(s))
	return rulesParts(s, func(set ruleSet) []lack { dead, _ := stale(set); return dead })
}

// ruledNodes are the nodes that were looked at whose kernels must hold the rules by now.
func ruledNodes(s *facts.Snapshot) []string {
	var out []string
	for _, n := range s.LinuxNodes() {
		if !silent(n) && !s.Joining(n) && !host.Of(s, n.Name).Unasked() {
			out = append(out, n.Name)
		}
	}
	return out
}

// ruleSet is what a node's kernel does, by mode.
type ruleSet map[string]map[front][]host.ServiceRule

// rulesOf returns the rules of a node, or why they are not known.
func rulesOf(s *facts.Snapshot, node string) (set ruleSet, why string) {
	view := host.Of(s, node)
	text, found := view.Read(host.ServiceRules)
	if why := view.Unknown(host.ServiceRules); why != "" || !found {
		return nil, cmp.Or(why, "not read")
	}
	rules, err := host.ParseServiceRules(text)
	if err != nil {
		return nil, err.Error()
	}
	set = ruleSet{}
	for _, r := range rules {
		if set[r.Mode] == nil {
			set[r.Mode] = map[front][]host.ServiceRule{}
		}
		at := front{r.Proto, r.Front}
		set[r.Mode][at] = append(set[r.Mode][at], r)
	}
	return set, ""
}

// current is the mode in use: the one that knows most of what is wanted. One that is left
// from before knows less.
func (set ruleSet) current(want map[front]wanted) string {
	best, most := "", -1
	for _, mode := range []string{"iptables", "iptables-legacy", "nftables", "ipvs"} {
		n := 0
		for at, w := range want {
			for _, r := range set[mode][at] {
				for _, e := range r.Endpoints {
					if w.ends[e] {
						n++
					}
				}
			}
		}
		if set[mode] != nil && n > most {
			best, most = mode, n
		}
	}
	return best
}

// lack is one thing that is missing.
type lack struct {
	svc  facts.Ref
	what string
	mode string // of rules that are too many
}

func sortLacks(list []lack) {
	slices.SortFunc(list, func(a, b lack) int {
		return cmp.Or(strings.Compare(a.svc.Path(), b.svc.Path()), strings.Compare(a.what, b.what))
	})
}

// missing returns what a node's rules lack, in the order of the Services.
func (set ruleSet) missing(want map[front]wanted) []lack {
	have := set[set.current(want)]
	var out []lack
	for at, w := range want {
		if len(w.ends) == 0 {
			continue
		}
		got := map[netip.AddrPort]bool{}
		for _, r := range have[at] {
			for _, e := range r.Endpoints {
				got[e] = true
			}
		}
		var gone []string
		for e := range w.ends {
			if !got[e] {
				gone = append(gone, e.String())
			}
		}
		slices.Sort(gone)
		switch {
		case len(have[at]) == 0 && (!w.some || w.kind != "nodeport"):
			out = append(out, lack{svc: w.svc, what: fmt.Sprintf("no rule for %s/%s", at.at, at.proto)})
		case len(gone) == len(w.ends) && !w.some:
			out = append(out, lack{svc: w.svc, what: fmt.Sprintf("the rule for %s/%s leads nowhere", at.at, at.proto)})
		case len(gone) > 0 && !w.some:
			out = append(out, lack{svc: w.svc, what: fmt.Sprintf("the rule for %s/%s leaves out %s", at.at, at.proto, strings.Join(gone, ", "))})
		}
	}
	sortLacks(out)
	return out
}

func findRulesMissing(s *facts.Snapshot) []checks.Finding {
	want := wantedFronts(s)
	var out []checks.Finding
	for _, n := range ruledNodes(s) {
		set, _ := rulesOf(s, n)
		if set == nil {
			continue
		}
		lacks, _ := certainly(s, set.missing(want))
		if len(lacks) == 0 {
			continue
		}
		f := checks.Finding{
			Subject: ruledBy(s, n, lacks), Message: aboutServices("does not lead traffic to", lacks),
			Remedy: "Restart kube-proxy there, which writes its rules anew: " + restartOn(s, n) + ". If they vanish again, find what removes them: a firewall, a hardening script.",
		}
		f.Evidence = quoteLacks(n, lacks)
		out = append(out, f)
	}
	return out
}

// ruledBy is what is at fault: the node, where Services lack rules without which no pod there
// can work, the API server's and those of cluster DNS; else kube-proxy's pod on it, so that
// no trouble of other pods of the node is put down to a Service that they do not use.
func ruledBy(s *facts.Snapshot, node string, lacks []lack) facts.Ref {
	vital := []facts.Ref{{Kind: "Service", Namespace: "default", Name: "kubernetes"}}
	for _, svc := range s.DNSServices() {
		vital = append(vital, facts.ServiceRef(svc))
	}
	if slices.ContainsFunc(lacks, func(l lack) bool { return slices.Contains(vital, l.svc) }) {
		return facts.NodeRef(node)
	}
	if p := proxyOn(s, node); p != nil {
		return p.Ref()
	}
	return facts.NodeRef(node)
}

// proxyOn returns kube-proxy's pod on a node, but for one that is being deleted; nil where
// there is none.
func proxyOn(s *facts.Snapshot, node string) *facts.Pod {
	for _, p := range s.KubeProxyPods() {
		if p.Node == node && !p.Deleting {
			return p
		}
	}
	return nil
}

// aboutServices names the Services that something is wrong with: one, or how many.
func aboutServices(what string, lacks []lack) string {
	seen := map[facts.Ref]bool{}
	for _, l := range lacks {
		seen[l.svc] = true
	}
	if len(seen) == 1 {
		return fmt.Sprintf("%s %s as it should", what, lacks[0].svc)
	}
	return fmt.Sprintf("%s %d Services as it should, %s among them", what, len(seen), lacks[0].svc)
}

// mostQuoted is how many rules a finding quotes.
const mostQuoted = 5

func quoteLacks(node string, lacks []lack) []checks.Evidence {
	var out []checks.Evidence
	for _, l := range lacks[:min(len(lacks), mostQuoted)] {
		out = append(out, checks.Quote(fmt.Sprintf("Node %s, rules of the kernel", node), fmt.Sprintf("%s: %s", l.svc, l.what)))
	}
	return out
}

// restartOn is the command that restarts kube-proxy on a node.
func restartOn(s *facts.Snapshot, node string) string {
	if p := proxyOn(s, node); p != nil {
		return checks.Command("kubectl -n %s delete pod %s", p.Namespace, p.Name)
	}
	return "its pod is not there, or is being deleted"
}
