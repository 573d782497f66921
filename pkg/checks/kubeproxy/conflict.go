package kubeproxy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// ReplacementConflict finds kube-proxy beside a Cilium that does its work, and a Cilium
// that does its work and waits for it.
var ReplacementConflict = &checks.Check{
	ID:       "kube-proxy-replacement-conflict",
	Title:    "Either kube-proxy or Cilium makes Services work, not both and not neither",
	Severity: checks.Warning,
	URL:      "https://docs.cilium.io/en/stable/network/kubernetes/kubeproxy-free/",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods},
	MayUse:   []*facts.Source{facts.PodLogs, facts.SystemServices, facts.EndpointSlices},
	When:     noConflict,
	Explains: []*checks.Check{cni.AgentUnhealthy},
	ByHand: []string{"kubectl -n kube-system get configmap cilium-config -o yaml | grep kube-proxy-replacement",
		"kubectl -n kube-system get daemonset kube-proxy", "kubectl -n kube-system exec daemonset/cilium -- cilium-dbg status | grep KubeProxyReplacement"},
	Run: findReplacementConflict,
	Doc: `Cilium is told to replace kube-proxy, and kube-proxy runs as well. Each translates the addresses of Services by itself
and knows nothing of the other's connections. When one of them is added or removed, connections that exist break, since
neither knows what the other has translated. Beside that the nodes do the work twice, and kube-proxy's rules are kept for
nothing.

The other way round there is nobody to do it: where kube-proxy is gone, and Cilium is not told the API server's own address, its
agent asks at the address of the Service ` + "`default/kubernetes`" + `. Nothing leads on from there before the agent itself has run. Nodes
that run go on, since the rules of before are there; on a node that is new or was started again the agent crashes, and no pod gets a
network. That is an error, and reported where the log of an agent shows it.

**How it comes about**: Cilium was installed with kubeProxyReplacement=true into a cluster in which kube-proxy ran, or kubeadm
installed kube-proxy anew in an upgrade because its ConfigMap was left. Or kube-proxy was deleted, and Cilium never told the address.

**Cure**: be sure that Cilium is told the API server's own address (k8sServiceHost and k8sServicePort, not the address of the
Service). Then delete kube-proxy's DaemonSet and its ConfigMap, and on each node the rules that it leaves
(` + "`iptables-save | grep -v KUBE | iptables-restore`" + `), or start the node anew: existing connections to Services break once.
Or set kubeProxyReplacement=false.`,
}

// moving is how long the two may stand side by side while one takes over from the other.
const moving = time.Hour

func findReplacementConflict(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		for _, cm := range s.ConfigMaps {
			if !replaces(cm) || !ciliumRuns(s, cm.Namespace) {
				continue
			}
			value := cm.Data["kube-proxy-replacement"]
			where := fmt.Sprintf("ConfigMap %s/%s, key kube-proxy-replacement", cm.Namespace, cm.Name)
			out = append(out, checks.Finding{
				Subject: setRef(p.set),
				Message: "runs kube-proxy although Cilium is told to do its work",
				Evidence: []checks.Evidence{checks.Quote(where, value),
					checks.Quote(setRef(p.set).String()+", status", fmt.Sprintf("%d pods desired", p.set.Status.DesiredNumberScheduled))},
				Remedy: "Tell Cilium the API server's own address (k8sServiceHost), then delete this DaemonSet and its ConfigMap; or set kubeProxyReplacement=false.",
			})
		}
	}
	return append(out, lockedOut(s)...)
}

// noConflict says why neither can be, or "".
func noConflict(s *facts.Snapshot) string {
	if why := noDaemonSet(s); why != "" && !slices.ContainsFunc(s.ConfigMaps, replaces) {
		return why
	}
	return ""
}

// replaces tells whether a ConfigMap tells Cilium to do the work of kube-proxy; strict is
// what versions before 1.14 wrote for true.
func replaces(cm *corev1.ConfigMap) bool {
	value := cm.Data["kube-proxy-replacement"]
	return facts.SystemNamespace(cm.Namespace) && (value == "true" || value == "strict")
}

// ciliumRuns tells whether a namespace has an agent of Cilium that was there for a while.
func ciliumRuns(s *facts.Snapshot, namespace string) bool {
	for _, p := range s.PodsIn(namespace) {
		if a := plugins.Agent(p); a != nil && a.ID == "cilium" && s.Taken.Sub(p.Created.Time()) >= moving {
			return true
		}
	}
	return false
}

// unserved is how an agent says that it gets no answer from an address.
var unserved = regexp.MustCompile(`dial tcp (\S+?):\d+: (?:i/o timeout|connect: (?:connection refused|no route to host|network is unreachable|connection timed out))`)

// lockedOut reports agents of Cilium that ask the API server at the address of the Service
// which they are to make work, on nodes without kube-proxy.
func lockedOut(s *facts.Snapshot) []checks.Finding {
	proxied := map[string]bool{}
	for _, p := range s.KubeProxyPods() {
		proxied[p.Node] = true
	}
	svc := s.Service(metav1.NamespaceDefault, "kubernetes")
	found := map[facts.Ref]int{}
	var out []checks.Finding
	for _, cm := range s.ConfigMaps {
		if svc == nil || !replaces(cm) {
			continue
		}
		for _, p := range s.PodsIn(cm.Namespace) {
			a := plugins.Agent(p)
			if a == nil || a.ID != "cilium" || proxied[p.Node] || p.Crashing() == nil && restarting(s, p) == nil {
				continue
			}
			line, quote := askedInVain(s, p, svc)
			set := ownSet(s, p)
			if line == "" || set == nil || toldAddress(set) {
				continue
			}
			at, known := found[setRef(set)]
			if !known {
				at = len(out)
				found[setRef(set)] = at
				out = append(out, locked(s, set, cm, svc, quote))
			}
			out[at].Places = append(out[at].Places, p.Ref())
		}
	}
	return out
}

// askedInVain returns the last line in which a pod says that it gets no answer at the
// address of a Service.
func askedInVain(s *facts.Snapshot, p *facts.Pod, svc *corev1.Service) (last string, quote checks.Evidence) {
	for i := range p.Containers {
		log := s.Logs[p.Namespace+"/"+p.Name+"/"+p.Containers[i].Name]
		for _, said := range []struct{ which, text string }{{"previous log", log.Previous}, {"log", log.Current}} {
			for line := range strings.Lines(said.text) {
				m := unserved.FindStringSubmatch(line)
				if m != nil && slices.ContainsFunc(facts.ClusterIPs(svc), func(ip string) bool { return facts.SameIP(ip, strings.Trim(m[1], "[]")) }) {
					last = strings.TrimSpace(line)
					quote = checks.QuoteLog(p, said.which, last)
				}
			}
		}
	}
	return last, quote
}

// ownSet returns the DaemonSet of a pod, or nil.
func ownSet(s *facts.Snapshot, p *facts.Pod) *appsv1.DaemonSet {
	i := slices.IndexFunc(s.DaemonSets, func(d *appsv1.DaemonSet) bool { return setRef(d) == p.Owner })
	if i < 0 {
		return nil
	}
	return s.DaemonSets[i]
}

// apiHost is the variable by which client-go finds the API server in a pod; a kubelet sets
// it to the address of the Service where nobody else does.
const apiHost = "KUBERNETES_SERVICE_HOST"

// toldAddress tells whether the agents are, or may be, given an address of their own.
func toldAddress(d *appsv1.DaemonSet) bool {
	return slices.ContainsFunc(d.Spec.Template.Spec.Containers, func(c corev1.Container) bool {
		return len(c.EnvFrom) > 0 || slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == apiHost })
	})
}

func locked(s *facts.Snapshot, set *appsv1.DaemonSet, cm *corev1.ConfigMap, svc *corev1.Service, quote checks.Evidence) checks.Finding {
	f := checks.Finding{
		Subject: setRef(set), Severity: checks.Error,
		Message: "asks the API server at the address of a Service, to which nothing leads before Cilium itself runs: there is no kube-proxy",
		Evidence: []checks.Evidence{quote, checks.Quote(facts.ServiceRef(svc).String()+", clusterIP", svc.Spec.ClusterIP),
			checks.Quote(setRef(set).String()+", env", apiHost+" is not set"),
			checks.Quote(fmt.Sprintf("ConfigMap %s/%s, key kube-proxy-replacement", cm.Namespace, cm.Name), cm.Data["kube-proxy-replacement"])},
	}
	host, port := "the API server's own address", "its port"
	if known := apiServers(s); len(known) > 0 {
		host, port = split(known[0].hostPort, "6443")
		f.Evidence = append(f.Evidence, checks.Quote(known[0].from, known[0].hostPort))
	}
	f.Remedy = fmt.Sprintf("Set k8sServiceHost to %s and k8sServicePort to %s in Cilium's chart (helm upgrade --reuse-values --set …), or run kube-proxy again.", host, port)
	return f
}
