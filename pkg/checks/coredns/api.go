package coredns

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// APIUnreachable finds CoreDNS that does not become Ready because it gets nothing from
// the API server.
var APIUnreachable = &checks.Check{
	ID:       "coredns-api-unreachable",
	Title:    "CoreDNS reads the cluster's Services from the API server",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/kubernetes/#startup",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.SystemServices, facts.Proxy},
	Parts:    waitingLogs,
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints, NotSynced, ServfailRate, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-dns",
		"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:8181/proxy/ready",
		"kubectl get service,endpointslices -n default"},
	Run: findAPIUnreachable,
	Doc: `The plugin **kubernetes** reads Services, endpoints and namespaces from the API server when CoreDNS starts, and is not
ready before it has them all (":8181/ready" then answers with its name). It asks at the address of the Service
default/kubernetes, which kube-proxy, or what stands for it, must lead to an API server. The log says what becomes of it.

**i/o timeout**, **no route to host**: packets are lost between the pod and the API server. If some replicas get through and
others do not, it is their nodes: kube-proxy there, the network plugin, or a firewall that drops what comes from pods. If none
does, look at the endpoints of default/kubernetes. **network is unreachable**: the pod itself has no route
there; its network plugin gave it none. **connection refused**: nothing listens at the endpoint. **x509**: the API
server's certificate does not name the address, or its authority was replaced and the pod's copy is old. **Unauthorized**: the
token of the ServiceAccount is refused, after the signing key was changed or with a wrong clock. (A right that is missing,
"is forbidden", is **coredns-rbac**.)

Cure: that of the reason; CoreDNS tries again by itself. A process that was ready once stays so when it loses the API server
later: this check does not see that. Before 1.5, CoreDNS exits on the first such error ("log: exiting because of error: log: cannot
create log").`,
}

var (
	// asking matches what client-go logs when it could not read a kind of object, in all
	// versions (client-go tools/cache/reflector.go), and what CoreDNS since 1.9.1 says while it gets no
	// answer at all (coredns plugin/kubernetes/kubernetes.go).
	asking = regexp.MustCompile(`[Ff]ailed to (?:list|watch)\b|plugin/kubernetes: Kubernetes API connection failure: `)
	// lost, refused, mistrusted and unknown are the errors by what they mean.
	lost       = regexp.MustCompile(`dial tcp (\S+): (?:i/o timeout|connect: (?:no route to host|connection timed out))|TLS handshake timeout|context deadline exceeded`)
	unrouted   = regexp.MustCompile(`dial tcp (\S+): connect: network is unreachable`)
	refused    = regexp.MustCompile(`dial tcp (\S+): connect: connection refused`)
	mistrusted = regexp.MustCompile(`x509: `)
	unknown    = regexp.MustCompile(`\bUnauthorized\b`)
)

// waits tells whether a server runs long enough to have read everything, and is not Ready.
func (v server) waits(s *facts.Snapshot) bool {
	return !v.pod.Ready && !v.pod.Deleting && v.container.State.Phase == facts.Running && s.Taken.Sub(v.container.State.Started.Time()) >= grace
}

// exitsUnlogged matches the last words of CoreDNS before 1.5 when it could not read from the
// API server: its library wants to log that into a file, and the image has no place for one.
var exitsUnlogged = regexp.MustCompile(`exiting because of error: log: cannot create log: open /tmp/`)

// exits tells whether a server ends because of what it could not read.
func (v server) exits(s *facts.Snapshot) bool {
	return v.failing(s) && !v.pod.Deleting && slices.ContainsFunc(v.words(s), func(w said) bool { return exitsUnlogged.MatchString(w.text) })
}

func waitingLogs(s *facts.Snapshot) []checks.Part {
	var pods []*facts.Pod
	for _, v := range newFleet(s).servers {
		if v.waits(s) || v.failing(s) && !v.pod.Deleting {
			pods = append(pods, v.pod)
		}
	}
	return checks.PodLogs(pods)
}

func findAPIUnreachable(s *facts.Snapshot) []checks.Finding {
	fleet := newFleet(s)
	var out []checks.Finding
	for _, v := range fleet.servers {
		if !v.waits(s) && !v.exits(s) {
			continue
		}
		line, found := v.lastAsked(s)
		message, remedy := whyUnread(line.text)
		if !found || message == "" {
			continue
		}
		f := checks.Finding{Subject: v.pod.Ref(), Message: message, Remedy: remedy, Evidence: []checks.Evidence{v.quote(line)}}
		if body := strings.TrimSpace(s.Proxy[v.pod.Namespace+"/"+v.pod.Name+"/8181/ready"]); strings.Contains(body, "kubernetes") {
			f.Evidence = append(f.Evidence, checks.Quote(v.pod.Ref().String()+", GET :8181/ready", "waits for: "+body))
		}
		if svc := s.Service("default", "kubernetes"); svc != nil {
			for _, ip := range facts.ClusterIPs(svc) {
				if strings.Contains(line.text, ip) {
					f.Evidence = append(f.Evidence, checks.Quote(facts.ServiceRef(svc).String(), "clusterIP: "+ip))
				}
			}
		}
		f.Places = []facts.Ref{f.Subject}
		out = append(out, f)
	}
	out = fleet.grade(out)
	for i := range out {
		out[i].Places = nil // the subject is the only one
		if unproxied(s, s.Pod(out[i].Subject.Namespace, out[i].Subject.Name)) {
			out[i].Places = []facts.Ref{APIService()}
		}
	}
	return out
}

// APIService is the Service by which pods ask the API server.
func APIService() facts.Ref {
	return facts.Ref{Kind: "Service", Namespace: "default", Name: "kubernetes"}
}

// unproxied tells whether kube-proxy on a pod's node is not well, so that no Service may lead
// anywhere from there.
func unproxied(s *facts.Snapshot, p *facts.Pod) bool {
	return p != nil && slices.ContainsFunc(s.KubeProxyPods(), func(k *facts.Pod) bool {
		return k.Node == p.Node && (!k.Ready || k.Crashing() != nil || k.Unsettled(s.Taken, 10*time.Minute))
	})
}

// TokenRefused tells whether a pod of CoreDNS waits because the API server refuses its token.
func TokenRefused(s *facts.Snapshot, p *facts.Pod) bool {
	return slices.ContainsFunc(servers(s), func(v server) bool {
		line, found := v.lastAsked(s)
		message, _ := whyUnread(line.text)
		return v.pod == p && found && v.waits(s) && message == tokenRefused
	})
}

// lastAsked returns the last line of the current log that tells of a failure to read from
// the API server: an earlier one may be over.
func (v server) lastAsked(s *facts.Snapshot) (last said, found bool) {
	for _, w := range v.words(s) {
		if w.which == "log" && asking.MatchString(w.text) {
			last, found = w, true
		}
	}
	return last, found
}

const tokenRefused = "is not let in by the API server: the token of its ServiceAccount is refused"

// whyUnread says what a line of the log means, or "" for a refusal by RBAC and whatever
// is not known.
func whyUnread(line string) (message, remedy string) {
	switch {
	case lost.MatchString(line):
		return "gets no answer from the API server: packets are lost on the way",
			"If other CoreDNS pods get through, look at this pod's node: kube-proxy, the network plugin, a firewall. If none does, compare the endpoints of Service default/kubernetes with the API servers' addresses, and look whether a firewall drops what comes from pods."
	case unrouted.MatchString(line):
		return "has no route to the API server: its own network leads nowhere",
			"Look at the network plugin's configuration on the pod's node: the pod needs a default route that leads to its node, where the Service's address is translated."
	case refused.MatchString(line):
		return "does not get through to the API server: the connection is refused",
			"Compare the endpoints of Service default/kubernetes with the addresses and ports where API servers listen; if they are right, look at kube-proxy on the pod's node."
	case mistrusted.MatchString(line):
		return "does not trust the certificate of the API server",
			"Compare what the certificate is valid for and who signed it (the log says) with the address that CoreDNS asks and the ConfigMap kube-root-ca.crt; then restart CoreDNS."
	case unknown.MatchString(line):
		return tokenRefused,
			"Restart CoreDNS so that it gets a new token; if that is refused as well, look at the clock of its node and at the key with which kube-controller-manager or the API server signs tokens."
	}
	return "", ""
}
