package kubeproxy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ConfigStale finds kube-proxies that run in another mode than their configuration says.
var ConfigStale = &checks.Check{
	ID:       "kube-proxy-config-stale",
	Title:    "kube-proxy runs in the mode that its configuration says",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-modes",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods, facts.PodLogs},
	When:     noSettings,
	Parts:    modeParts,
	Explains: []*checks.Check{ModeMismatch},
	ByHand: []string{"kubectl -n kube-system logs POD | grep Proxier", "kubectl -n kube-system get configmap kube-proxy -o yaml | grep mode:",
		"curl -s 127.0.0.1:10249/proxyMode # on the node"},
	Run: findConfigStale,
	Doc: `kube-proxy reads its configuration when it starts. A changed ConfigMap reaches the file in its pods within minutes, and
kube-proxy goes on with what it read before. Nodes that are started again, or whose pod is replaced, take the new one: the
nodes then differ, and a fault in the new configuration shows only then, one node after the other.

The mode is the part that a kube-proxy names in its log when it starts ("Using iptables Proxier"), so it is what can be held
against the ConfigMap. Where the log that was read no longer reaches back to the start, the answer is unknown.

**How it comes about**: the ConfigMap was edited without a restart, or the restart of the DaemonSet stands still.

**Cure**: restart the DaemonSet, at a time when it suits: a change of mode makes the node's rules anew. Or take the change back.`,
}

// running is how kube-proxy says which mode it runs in.
var running = regexp.MustCompile(`(?m)^.*Using (iptables|ipvs|nftables) Proxier.*$`)

// modeParts names the logs in which each kube-proxy says its mode, which it does only at
// its start.
func modeParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, p := range proxies(s) {
		if c := p.settings(); c == nil || c.Mode == "" {
			continue
		}
		for _, part := range checks.PodLogs(slices.DeleteFunc(slices.Clone(p.pods), func(pod *facts.Pod) bool { return p.passing(pod) })) {
			if log, read := s.Logs[part.Key+"/"+p.spec.Containers[0].Name]; read && !running.MatchString(log.Current) {
				part.Lacks = "it does not name the mode: it no longer reaches back to kube-proxy's start"
			}
			out = append(out, part)
		}
	}
	return out
}

// passing tells whether a pod tells nothing of the mode that lasts. One that crashes is no
// news: the new configuration is what it dies of.
func (p *proxy) passing(pod *facts.Pod) bool {
	return pod.Deleting || !pod.Ready || pod.Unsettled(p.s.Taken, settled)
}

func findConfigStale(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		if c := p.settings(); c != nil && c.Mode != "" {
			out = append(out, p.stale(c)...)
		}
	}
	return out
}

// stale reports the pods that run in each other mode.
func (p *proxy) stale(c *settings) []checks.Finding {
	found, fallen := map[string]*checks.Finding{}, fallen(p.s)
	for _, pod := range p.pods {
		if p.passing(pod) || fallen[pod] {
			continue // what kube-proxy cannot do, no restart brings about
		}
		lines := running.FindAllStringSubmatch(p.log(pod), -1)
		if len(lines) == 0 {
			continue
		}
		last := lines[len(lines)-1]
		if last[1] == c.mode() {
			continue
		}
		f := found[last[1]]
		if f == nil {
			f = &checks.Finding{
				Subject:  setRef(p.set),
				Message:  fmt.Sprintf("has pods in which kube-proxy runs in mode %s, since before its configuration said %s", last[1], c.mode()),
				Evidence: []checks.Evidence{c.quote("mode", c.mode()), checks.QuoteLog(pod, "log", last[0])},
				Remedy:   fmt.Sprintf("Let kube-proxy read its configuration: %s; or set mode back to %s.", p.restart(), last[1]),
			}
			found[last[1]] = f
		}
		f.Places = append(f.Places, pod.Ref())
	}
	var out []checks.Finding
	for _, mode := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[mode])
	}
	return out
}
