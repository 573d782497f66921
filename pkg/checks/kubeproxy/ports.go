package kubeproxy

import (
	"regexp"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Ports finds kube-proxies that do not get the ports on which others ask them.
var Ports = &checks.Check{
	ID:       "kube-proxy-ports",
	Title:    "kube-proxy listens on its ports for health and metrics",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.Nodes, facts.Events},
	When:     noLogs,
	Parts:    func(s *facts.Snapshot) []checks.Part { return logParts(alive(s)) },
	Explains: []*checks.Check{PodUnhealthy},
	ByHand: []string{"kubectl -n kube-system logs POD | grep -i -E 'healthz|metrics server'", "ss -ltnp | grep -E ':(10249|10256) ' # on the node",
		"kubectl get events -A --field-selector reason=FailedToStartProxierHealthcheck"},
	Run: findPorts,
	Doc: `kube-proxy answers on port 10256 (healthzBindAddress) whether it fares well, which cloud load balancers ask before they send
traffic to a node for Services with ` + "`externalTrafficPolicy: Cluster`" + `; and on 127.0.0.1:10249 (metricsBindAddress) with its metrics.
Where it cannot listen there it tries again every few seconds and does its other work. The load balancer then hears another
program, or nobody, and takes a sound node for a sick one. With ` + "`bindAddressHardFail: true`" + ` kube-proxy exits instead, which is an error.

It is reported where the log shows it again after more than a minute, and within the last ten: while kube-proxy is replaced, the old
one may hold the ports for a moment. Where a log was not read, or no longer holds it, an event of the Node from the last ten minutes tells it.

**How it comes about**: a second kube-proxy runs on the node (as a system service, or in k3s), Cilium or another proxy with its own
health port was started beside it, or a program took the port. "cannot assign requested address" means that the configuration,
which all nodes share, names an address that this node does not have.

**Cure**: end the other program, or change healthzBindAddress or metricsBindAddress; 0.0.0.0 stands for all addresses of a node.`,
}

// The lines are those of cmd/kube-proxy/app/server.go (serveHealthz, serveMetrics) and
// pkg/proxy/healthcheck, in the forms of their versions.
var deaf = []words{
	{regexp.MustCompile(`(?i)(?:failed to start (?:node|proxier|proxy) healthz on |healthz server failed).*bind: address already in use`),
		"cannot listen on its health port: another program of the node has it",
		"Find the program on the node (ss -ltnp, port 10256) and end it if it is a second kube-proxy; else change healthzBindAddress."},
	{regexp.MustCompile(`(?i)(?:failed to start (?:node|proxier|proxy) healthz on |healthz server failed).*bind: cannot assign requested address`),
		"cannot listen on its health port: the node does not have the address of healthzBindAddress",
		"Set healthzBindAddress to 0.0.0.0:10256 ([::]:10256 where IPv6 comes first), then restart kube-proxy."},
	{regexp.MustCompile(`starting metrics server failed.*bind: address already in use`),
		"cannot listen on its port for metrics: another program of the node has it",
		"Find the program on the node (ss -ltnp, port 10249) and end it if it is a second kube-proxy; else change metricsBindAddress."},
	{regexp.MustCompile(`starting metrics server failed.*bind: cannot assign requested address`),
		"cannot listen on its port for metrics: the node does not have the address of metricsBindAddress",
		"Set metricsBindAddress to 127.0.0.1:10249, or to 0.0.0.0:10249 where others are to read it, then restart kube-proxy."},
}

// alive returns the pods of kube-proxy on nodes that are heard of.
func alive(s *facts.Snapshot) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range s.KubeProxyPods() {
		if n := s.Node(p.Node); !p.Deleting && (n == nil || !silent(n)) {
			out = append(out, p)
		}
	}
	return out
}

func findPorts(s *facts.Snapshot) []checks.Finding {
	told := startFailures(s)
	var out []checks.Finding
	for _, p := range alive(s) {
		f, found := portless(s, p)
		if e := told[p.Node]; !found && e != nil && e.Seen > started(p) {
			f, found = ofEvent(e)
		}
		if !found {
			continue
		}
		f.Subject = p.Ref()
		if p.Crashing() != nil || restarting(s, p) != nil {
			f.Severity = checks.Error // bindAddressHardFail
		}
		out = append(out, f)
	}
	return out
}

// portless tells whether a pod says in its log, or in its last words, that it cannot
// listen.
func portless(s *facts.Snapshot, p *facts.Pod) (checks.Finding, bool) {
	for i := range p.Containers {
		log := s.Logs[p.Namespace+"/"+p.Name+"/"+p.Containers[i].Name]
		for _, w := range deaf {
			if f, found := w.persist(s, p, strings.Split(log.Current, "\n")); found {
				return f, true
			}
		}
	}
	if p.Crashing() == nil && restarting(s, p) == nil {
		return checks.Finding{}, false
	}
	said, found := lastOfAny(s, p)
	if !found || len(said.Evidence) == 0 {
		return checks.Finding{}, false
	}
	line := said.Evidence[0].Text
	if !strings.Contains(line, "healthz") {
		line = "starting metrics server failed: " + line // the last words about that port do not name it
	}
	return ofLine(line, said.Evidence[0])
}

// ofLine returns what a line means, with another as evidence.
func ofLine(line string, quote checks.Evidence) (checks.Finding, bool) {
	for _, w := range deaf {
		if w.re.MatchString(line) {
			return checks.Finding{Message: w.message, Remedy: w.remedy, Evidence: []checks.Evidence{quote}}, true
		}
	}
	return checks.Finding{}, false
}

// startFailures returns the events of the last minutes in which a kube-proxy says that it
// cannot listen, by node.
func startFailures(s *facts.Snapshot) map[string]*facts.Event {
	out := map[string]*facts.Event{}
	for _, reason := range []string{"FailedToStartMetricServer", "FailedToStartProxierHealthcheck"} {
		for _, e := range s.EventsOf(reason) {
			if e.About.Kind == "Node" && s.Taken.Sub(e.Seen.Time()) < lately {
				out[e.About.Name] = e
			}
		}
	}
	return out
}

func ofEvent(e *facts.Event) (checks.Finding, bool) {
	port := map[string]string{"FailedToStartMetricServer": "starting metrics server failed: ", "FailedToStartProxierHealthcheck": "healthz server failed: "}[e.Reason]
	return ofLine(port+e.Message, checks.Quote(e.About.String()+", event "+e.Reason, e.Message))
}
