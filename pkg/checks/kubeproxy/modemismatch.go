package kubeproxy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ModeMismatch finds kube-proxies of one make that run in different modes.
var ModeMismatch = &checks.Check{
	ID:       "kube-proxy-mode-mismatch",
	Title:    "kube-proxy runs in one mode on all nodes",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-modes",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.SystemDaemonSets, facts.Nodes, facts.ConfigMaps},
	When:     noLogs,
	Parts:    startParts,
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-proxy --tail=-1 --prefix | grep -E 'Using .* Proxier|use the IPVS proxier'",
		"curl -s 127.0.0.1:10249/proxyMode # on the node"},
	Run: findModeMismatch,
	Doc: `The modes do not behave alike: which addresses answer NodePorts, whether 127.0.0.1 does, how connections are spread, what
becomes of them while a pod ends. Where nodes differ, the same request works from one node and not from another, and nobody
thinks of kube-proxy.

Each kube-proxy names its mode in its log when it starts ("Using nftables Proxier"). The pods of one DaemonSet are compared
with each other, and static pods with static pods; two DaemonSets may differ on purpose. Where a DaemonSet is being updated, nothing
is said until that is done. That the nodes differ from their ConfigMap is **kube-proxy-config-stale**, which explains this one.

**How it comes about**: the configuration was changed and only some pods were started again since. The mode is left to each
version's default, and the versions differ. (Where a node cannot do mode ipvs and kube-proxy of before Kubernetes 1.26 took iptables
instead, that is **kube-proxy-ipvs-unusable** alone.)

**Cure**: write the mode into the configuration, see that every node can do it, and restart the DaemonSet.`,
}

// startParts names the logs in which each kube-proxy says its mode.
func startParts(s *facts.Snapshot) []checks.Part {
	pods := map[string]*facts.Pod{}
	for _, p := range steady(s) {
		pods[p.Ref().Key()] = p
	}
	parts := logParts(steady(s))
	for i, part := range parts {
		if said, read := saidOf(s, pods[part.Key]); read && parts[i].Lacks == "" && !running.MatchString(said) {
			parts[i].Lacks = "it does not name the mode: it no longer reaches back to kube-proxy's start"
		}
	}
	return parts
}

// steady returns the pods that were not started just now and have a mode to choose: on
// Windows there is one, which no log names.
func steady(s *facts.Snapshot) []*facts.Pod {
	return slices.DeleteFunc(readyProxies(s), func(p *facts.Pod) bool {
		n := s.Node(p.Node)
		return n != nil && facts.Windows(n) || p.Unsettled(s.Taken, settled)
	})
}

// saidOf returns the current log of a pod's first container.
func saidOf(s *facts.Snapshot, p *facts.Pod) (said string, read bool) {
	for i := range p.Containers {
		if c := &p.Containers[i]; !c.Init {
			log, found := s.Logs[p.Namespace+"/"+p.Name+"/"+c.Name]
			return log.Current, found
		}
	}
	return "", false
}

// alike is the pods that are meant to be alike, by the mode in which they run.
type alike struct {
	subject facts.Ref
	modes   map[string][]*facts.Pod
	quotes  map[string]checks.Evidence
}

func findModeMismatch(s *facts.Snapshot) []checks.Finding {
	found := map[facts.Ref]*alike{}
	moving := map[facts.Ref]bool{}
	for _, d := range s.KubeProxyDaemonSets() {
		moving[setRef(d)] = rolling(d)
	}
	fallen := fallen(s)
	for _, p := range steady(s) {
		owner := p.Owner
		if owner.Kind != "DaemonSet" {
			owner = facts.Cluster()
		}
		said, _ := saidOf(s, p)
		lines := running.FindAllStringSubmatch(said, -1)
		if len(lines) == 0 || moving[owner] || fallen[p] {
			continue
		}
		if found[owner] == nil {
			found[owner] = &alike{owner, map[string][]*facts.Pod{}, map[string]checks.Evidence{}}
		}
		found[owner].add(p, lines[len(lines)-1])
	}
	var out []checks.Finding
	for _, owner := range slices.SortedFunc(maps.Keys(found), facts.Ref.Compare) {
		out = append(out, found[owner].differ()...)
	}
	return out
}

// add takes a pod in, whose log has a line that names its mode.
func (a *alike) add(p *facts.Pod, line []string) {
	mode := line[1]
	if len(a.modes[mode]) == 0 {
		a.quotes[mode] = checks.QuoteLog(p, "log", line[0])
	}
	a.modes[mode] = append(a.modes[mode], p)
}

// differ reports the pods that are not in the mode of most.
func (a *alike) differ() []checks.Finding {
	if len(a.modes) < 2 {
		return nil
	}
	modes := slices.SortedFunc(maps.Keys(a.modes), func(x, y string) int {
		return cmp.Or(cmp.Compare(len(a.modes[y]), len(a.modes[x])), strings.Compare(x, y))
	})
	f := checks.Finding{
		Subject: a.subject,
		Message: "runs kube-proxy in different modes on its nodes: " + strings.Join(modes, ", "),
		Remedy: fmt.Sprintf("Write one mode into kube-proxy's configuration (most nodes run %s), see that every node can do it, and restart the pods that differ.",
			modes[0]),
	}
	for _, mode := range modes {
		f.Evidence = append(f.Evidence, a.quotes[mode])
	}
	for _, mode := range modes[1:] {
		for _, p := range a.modes[mode] {
			f.Places = append(f.Places, p.Ref())
		}
	}
	return []checks.Finding{f}
}
