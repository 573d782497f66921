package kubeproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

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
	Parts:    rulesParts,
	When:     noRules,
	Explains: []*checks.Check{symptom.PodNotReady, traffic.ServicePath, symptom.DNSProbeCluster},
	ByHand: []string{"iptables-save -t nat | grep -e '-d CLUSTERIP/32'  # on the node; mode iptables",
		"nft list map ip kube-proxy service-ips | grep CLUSTERIP  # mode nftables", "ipvsadm -Ln  # mode ipvs"},
	Run: findRulesMissing,
	Doc: `kube-proxy turns Services and EndpointSlices into rules of the kernel, on each node for itself. A Service that has ready endpoints and no
rule on a node is dead from there; one whose rule lacks endpoints gets less capacity, or the wrong one.

Compared are all ClusterIPs and NodePorts, for iptables (both back ends), nftables and ipvs. Services whose endpoints changed while the nodes were
looked at are left out; those with internalTrafficPolicy or externalTrafficPolicy Local, trafficDistribution or topology-aware hints may lead to some
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
	Parts:    rulesParts,
	When:     noRules,
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSProbeCluster},
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
		return "looks only at --depth host"
	}
	return unanswerable(s)
}

// rulesParts names the nodes whose rules must be known.
func rulesParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		if why := host.Of(s, n.Name).Unknown(host.ServiceRules); why != "" && !silent(n) {
			out = append(out, checks.Part{Source: facts.Files, Key: n.Name, Lacks: why})
		}
	}
	return out
}

// front is where traffic of a Service is caught.
type front struct{ proto, at string }

// wanted is what a front must lead to.
type wanted struct {
	svc  facts.Ref
	kind string
	ends map[netip.AddrPort]bool
	some bool // it may lead to a part of them
}

// wantedFronts returns what the Services ask for. Services that another proxy serves, and
// those without ready endpoints, ask for nothing that must be there.
func wantedFronts(s *facts.Snapshot) map[front]wanted {
	out := map[front]wanted{}
	for _, svc := range s.Services {
		ref := facts.Ref{Kind: "Service", Namespace: svc.Namespace, Name: svc.Name}
		if otherProxy(svc) || s.Gaps[facts.Files.Name+"/"+host.Changed(ref)] != "" {
			continue
		}
		for i := range svc.Spec.Ports {
			p := &svc.Spec.Ports[i]
			proto := strings.ToLower(string(p.Protocol))
			if proto == "" {
				proto = "tcp"
			}
			for _, text := range clusterIPs(svc) {
				ip, err := netip.ParseAddr(text)
				if err != nil {
					continue
				}
				ends := endsOf(s, svc, p, ip.Is4())
				out[front{proto, netip.AddrPortFrom(ip, uint16(p.Port)).String()}] = wanted{ref, "cluster", ends, partly(svc, svc.Spec.InternalTrafficPolicy != nil && *svc.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal)}
				if p.NodePort != 0 && ip.Is4() {
					out[front{proto, "nodeport:" + strconv.Itoa(int(p.NodePort))}] = wanted{ref, "nodeport", ends, partly(svc, svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal)}
				}
			}
		}
	}
	return out
}

// otherProxy tells whether kube-proxy has nothing to do with a Service.
func otherProxy(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Labels["service.kubernetes.io/service-proxy-name"] != ""
}

func clusterIPs(svc *corev1.Service) []string {
	if len(svc.Spec.ClusterIPs) > 0 {
		return svc.Spec.ClusterIPs
	}
	return []string{svc.Spec.ClusterIP}
}

// partly tells whether a node's rules may leave endpoints out on purpose.
func partly(svc *corev1.Service, local bool) bool {
	mode := svc.Annotations["service.kubernetes.io/topology-mode"] + svc.Annotations["service.kubernetes.io/topology-aware-hints"]
	return local || svc.Spec.TrafficDistribution != nil || mode != "" && !strings.EqualFold(mode, "disabled")
}

// endsOf returns the ready endpoints of a Service's port, of one family.
func endsOf(s *facts.Snapshot, svc *corev1.Service, port *corev1.ServicePort, v4 bool) map[netip.AddrPort]bool {
	out := map[netip.AddrPort]bool{}
	for _, slice := range s.SlicesOf(svc) {
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name == nil && port.Name != "" || p.Name != nil && *p.Name != port.Name {
				continue
			}
			for i := range slice.Endpoints {
				e := &slice.Endpoints[i]
				if ip, err := netip.ParseAddr(e.Address); err == nil && e.Ready && ip.Is4() == v4 {
					out[netip.AddrPortFrom(ip, uint16(*p.Port))] = true
				}
			}
		}
	}
	return out
}

// ruleSet is what a node's kernel does, by mode.
type ruleSet map[string]map[front][]host.ServiceRule

// rulesOf returns the rules of a node; known is false where they were not read.
func rulesOf(s *facts.Snapshot, node string) (set ruleSet, known bool) {
	text, found := host.Of(s, node).Read(host.ServiceRules)
	rules, err := host.ParseServiceRules(text)
	if !found || err != nil {
		return nil, false
	}
	set = ruleSet{}
	for _, r := range rules {
		if set[r.Mode] == nil {
			set[r.Mode] = map[front][]host.ServiceRule{}
		}
		at := front{r.Proto, r.Front}
		set[r.Mode][at] = append(set[r.Mode][at], r)
	}
	return set, true
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
			out = append(out, lack{w.svc, fmt.Sprintf("no rule for %s/%s", at.at, at.proto)})
		case len(gone) == len(w.ends) && !w.some:
			out = append(out, lack{w.svc, fmt.Sprintf("the rule for %s/%s leads nowhere", at.at, at.proto)})
		case len(gone) > 0 && !w.some:
			out = append(out, lack{w.svc, fmt.Sprintf("the rule for %s/%s leaves out %s", at.at, at.proto, strings.Join(gone, ", "))})
		}
	}
	slices.SortFunc(out, func(a, b lack) int { return strings.Compare(a.svc.Path()+a.what, b.svc.Path()+b.what) })
	return out
}

func findRulesMissing(s *facts.Snapshot) []checks.Finding {
	want := wantedFronts(s)
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		set, known := rulesOf(s, n.Name)
		if !known {
			continue
		}
		lacks := set.missing(want)
		if len(lacks) == 0 {
			continue
		}
		f := checks.Finding{
			Subject: facts.NodeRef(n.Name), Message: aboutServices("does not lead traffic to", lacks),
			Remedy: "Restart kube-proxy there, which writes its rules anew: " + restartOn(s, n.Name) + ". If they vanish again, find what removes them: a firewall, a hardening script.",
		}
		f.Evidence = quoteLacks(n.Name, lacks)
		out = append(out, f)
	}
	return out
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
	for _, p := range s.KubeProxyPods() {
		if p.Node == node {
			return checks.Command("kubectl -n %s delete pod %s", p.Namespace, p.Name)
		}
	}
	return "its pod is not there"
}
