package kubeproxy

import (
	"encoding/json"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NotSynced finds kube-proxies that say of themselves that their rules are old.
var NotSynced = &checks.Check{
	ID:       "kube-proxy-not-synced",
	Title:    "kube-proxy's rules follow the Services and endpoints",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/",
	Needs:    []*facts.Source{facts.SystemPods},
	MayUse:   []*facts.Source{facts.Proxy, facts.Nodes, facts.ConfigMaps, facts.SystemDaemonSets},
	When:     noAnswers,
	Parts:    answerParts,
	Explains: []*checks.Check{coredns.APIUnreachable, coredns.NotSynced, traffic.ServicePath, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:10256/proxy/livez", "curl -s 127.0.0.1:10256/livez # on the node",
		"kubectl -n kube-system logs POD"},
	Run: findNotSynced,
	Doc: `Each kube-proxy answers on port 10256 how it fares. ` + "`/livez`" + ` turns bad when a change of a Service or an endpoint
waits for longer than two sync periods (a minute, as it comes) without getting into the node's kernel, and since Kubernetes 1.33
it says so for each IP family. On that node new Services do not work, and traffic goes on to pods that are gone. Where it has
not written its rules once since it was started, ` + "`/livez`" + ` stays good, but names no family: that is reported after three
minutes. (` + "`/healthz`" + ` is bad also while the node is about to be removed. It is for load balancers, and not looked at.)

**How it comes about**: the kernel refuses the rules or another program holds the iptables lock (**kube-proxy-sync-errors**), the API
server does not answer kube-proxy (**kube-proxy-pod-unhealthy**), or the node has not the processor time for it. Where one of
these is found, this is told below it.

**Cure**: that of the cause. If the log says nothing, delete the pod: the new one makes the rules anew.`,
}

// livez returns what a pod answered, and why there is no answer where that is known.
func livez(s *facts.Snapshot, p *facts.Pod) (body string, missing checks.Part) {
	key := p.Ref().Key()
	for _, part := range []string{key + "/10256", key} {
		if s.MissingPart(facts.Proxy, part) != "" {
			missing = checks.Part{Source: facts.Proxy, Key: part}
			break
		}
	}
	return strings.TrimSpace(s.Proxy[key+"/10256/livez"]), missing
}

// noAnswers says why there is nothing to look at. Where nobody set out to ask a kube-proxy,
// as who captured a bundle with an earlier version did not, there are neither answers nor
// reasons for their absence.
func noAnswers(s *facts.Snapshot) string {
	if why := noPods(s); why != "" {
		return why
	}
	const unasked = "no kube-proxy was asked how it fares"
	if why := s.Missing(facts.Proxy); why != "" {
		return unasked + ": " + why
	}
	if !slices.ContainsFunc(s.KubeProxyPods(), func(p *facts.Pod) bool {
		body, missing := livez(s, p)
		return body != "" || missing.Source != nil
	}) {
		return unasked
	}
	closed := closed(s)
	if !slices.ContainsFunc(s.KubeProxyPods(), func(p *facts.Pod) bool { return !closed[p.Owner] && !alone(p) }) {
		return "kube-proxy answers on its own node alone, or on another port"
	}
	return ""
}

// closed returns the DaemonSets whose configuration opens the health port to the own node only,
// or has another.
func closed(s *facts.Snapshot) map[facts.Ref]bool {
	out := map[facts.Ref]bool{}
	for _, p := range proxies(s) {
		c := p.settings()
		out[setRef(p.set)] = c != nil && !reachable(c.HealthzBindAddress)
	}
	return out
}

// alone tells whether a pod's flags open its health port to its own node only, as those of
// RKE2's static pods do.
func alone(p *facts.Pod) bool {
	return slices.ContainsFunc(p.Containers, func(c facts.Container) bool {
		given := &corev1.Container{Command: c.Command}
		return flag(given, "config") == "" && !reachable(flag(given, "healthz-bind-address"))
	})
}

// answerParts names the answers that are missing of pods that listen where they are asked.
func answerParts(s *facts.Snapshot) []checks.Part {
	closed := closed(s)
	_, sample := s.Sampled[facts.Proxy.Name]
	var out []checks.Part
	for _, p := range asking(s) {
		body, missing := livez(s, p)
		switch {
		case closed[p.Owner] || alone(p) || body != "":
		case missing.Source != nil:
			out = append(out, missing)
		case !sample:
			out = append(out, checks.Part{Source: facts.Proxy, Key: p.Ref().Key(), Lacks: "not asked on port 10256"})
		}
	}
	return out
}

// reachable tells whether the health port is open to others at its usual number.
func reachable(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, "10256"
	}
	ip := net.ParseIP(host)
	return port == "10256" && (ip == nil || !ip.IsLoopback())
}

// asking returns the pods whose answer counts: on nodes that are heard of, and started
// long enough ago.
func asking(s *facts.Snapshot) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range readyProxies(s) {
		if n := s.Node(p.Node); (n == nil || !facts.Windows(n)) && s.Taken.Sub(started(p).Time()) >= 3*grace {
			out = append(out, p)
		}
	}
	return out
}

func findNotSynced(s *facts.Snapshot) []checks.Finding {
	cutOff := waitingByNode(s)
	var out []checks.Finding
	for _, p := range asking(s) {
		body, _ := livez(s, p)
		message := unsynced(body)
		if message == "" {
			continue
		}
		out = append(out, checks.Finding{
			Subject: p.Ref(), Message: message, Places: cutOff[p.Node],
			Evidence: []checks.Evidence{checks.Quote(p.Ref().String()+", GET :10256/livez", body)},
			Remedy: "Read the pod's log for what keeps it from writing its rules (kube-proxy says \"Sync failed\" or \"nftables sync failed\" then), " +
				"and look whether its node lacks processor time; if the log says nothing, delete the pod.",
		})
	}
	return out
}

// waitingByNode returns the pods of cluster DNS that were started and are not Ready, by node:
// they ask the API server at the address of a Service, to which kube-proxy of their own node
// must lead.
func waitingByNode(s *facts.Snapshot) map[string][]facts.Ref {
	out := map[string][]facts.Ref{}
	for _, p := range waiting(s) {
		out[p.Node] = append(out[p.Node], p.Ref())
	}
	return out
}

// health is the answer of /livez. Up to 1.32 it has the two times alone, in the form of
// Go's time.Time.String; since then (pkg/proxy/healthcheck/proxy_health.go) the rest.
type health struct {
	LastUpdated string `json:"lastUpdated"`
	CurrentTime string `json:"currentTime"`
	Healthy     *bool  `json:"healthy"`
	Status      map[string]struct {
		Healthy bool `json:"healthy"`
	} `json:"status"`
}

// unsynced says what is wrong by an answer of /livez, or "".
func unsynced(body string) string {
	var h health
	if json.Unmarshal([]byte(body), &h) != nil || h.CurrentTime == "" {
		return ""
	}
	var late []string
	for family, of := range h.Status {
		if !of.Healthy {
			late = append(late, family)
		}
	}
	slices.Sort(late)
	switch {
	case h.Healthy == nil && h.LastUpdated == h.CurrentTime:
		return "" // one that is well gives the present as the time of its last update
	case h.Healthy != nil && *h.Healthy && len(h.Status) == 0:
		return "has not written its rules once since it was started"
	case h.Healthy != nil && *h.Healthy:
		return ""
	case len(late) == 0:
		return "does not bring its rules up to date: a change waits for longer than two sync periods"
	}
	return "does not bring its rules for " + strings.Join(late, " and ") + " up to date: a change waits for longer than two sync periods"
}
