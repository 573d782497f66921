package cni

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// patience is how long an agent may be not Ready while nothing in it has failed.
const patience = 2 * time.Minute

// ending is how many lines of a log are its last words.
const ending = 20

// AgentUnhealthy finds agents of network plugins that crash or do not become Ready.
var AgentUnhealthy = &checks.Check{
	ID:       "cni-agent-unhealthy",
	Title:    "Every agent of the network plugin works",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
	Needs:    []*facts.Source{facts.Pods},
	MayUse:   []*facts.Source{facts.Nodes, facts.Events, facts.PodLogs},
	Explains: []*checks.Check{ConfMissing, SubnetEnvMissing, NodenameMissing, WeaveDown, CiliumNotReady, MultusDelegate, SandboxFailures, node.NetworkNotReady,
		coredns.APIUnreachable, coredns.NotSynced, symptom.PodNotReady, traffic.PodToPod},
	ByHand: []string{"kubectl get pods -A -o wide", "kubectl -n NAMESPACE logs POD --all-containers --previous",
		"kubectl -n NAMESPACE describe pod POD"},
	Run: findAgentsUnhealthy,
	Doc: `A network plugin's agent runs on every node, on the host's network. It writes the configuration that makes the node
Ready, gives the node its part of the pod range and keeps the routes to the other nodes. While it is down the pods of its node
go on for a time; new ones may get no network, and what changes on other nodes is not seen.

**How it comes about**: its configuration cannot be read; the node has no podCIDR; a kernel module is not loaded; it finds no
interface; it does not reach the API server, which it asks through the Service kubernetes, so that a dead kube-proxy takes it
down, too; its image cannot be pulled. Its last words say which, and stand in the log of the instance before.

While it is ill, CoreDNS on its node may not reach the API server, which is put down to it where CoreDNS's log says that packets get lost.

An agent that failed is told at once, one that only takes its time after two minutes. Agents on nodes whose kubelet is silent
are left out, and those that wait for the API server while kube-proxy on their node is down: that is the cause then.

**Cure**: that of the message. Deleting the pod helps only where the cause has passed.`,
}

// word is a line of an agent's log and what it means.
type word struct {
	re              *regexp.Regexp
	message, remedy string
}

// words are those of Flannel (main.go, pkg/subnet/kube), kube-router, Calico and Cilium, and of the client
// that all of them use to talk to the API server.
var words = []word{
	{regexp.MustCompile(`error parsing subnet config|failed to read net conf`),
		"crashes: it cannot read its configuration, net-conf.json",
		"Make net-conf.json in Flannel's ConfigMap valid JSON whose Network is the pod range; then restart the DaemonSet."},
	{regexp.MustCompile(`pod cidr not assigned|node\.Spec\.PodCIDR not set for node`),
		"crashes: its node has no podCIDR",
		"Let kube-controller-manager give every node one: --allocate-node-cidrs=true, and a --cluster-cidr that has room for all nodes."},
	{regexp.MustCompile(`specified in the flannel net config doesn't contain`),
		"crashes: its node's pod range lies outside the network in net-conf.json",
		"Write the cluster's pod range (--cluster-cidr of kube-controller-manager) as network into net-conf.json in Flannel's ConfigMap; then restart the DaemonSet."},
	{regexp.MustCompile(`Failed to check br_netfilter`),
		"crashes: the module br_netfilter is not loaded on its node",
		"On the node: modprobe br_netfilter, and name it in a file of /etc/modules-load.d."},
	{regexp.MustCompile(`Failed to find (?:any valid interface to use|interface to use that matches)`),
		"crashes: it finds no network interface to use",
		"Name the interface that leads to the other nodes: the argument --iface or --iface-regex of Flannel's DaemonSet."},
	{looseRPF,
		"crashes: Felix exits, since the kernel's check of source addresses is loose (rp_filter is 2)",
		looseCure},
	{regexp.MustCompile(`is forbidden: User \\?"system:serviceaccount:`),
		"may not do at the API server what it must",
		"Apply the plugin's ClusterRole and ClusterRoleBinding again, for the ServiceAccount that the log names."},
	{regexp.MustCompile(`https://\S+/api\S*: net/http: TLS handshake timeout`),
		"crashes: its connection to the API server opens, and the TLS handshake on it times out",
		"If the agents of other nodes get through, large packets are lost on the way from this one: compare the MTU of its interfaces and tunnels with theirs " +
			"(ip link). If none does, the API server has too much to do."},
	unreachable,
}

// looseRPF is how Felix before Calico 3.12 says that it will not run (dataplane/linux/int_dataplane.go);
// with a word behind it it is a warning.
var looseRPF = regexp.MustCompile(`Kernel's RPF check is set to 'loose'\.`)

const looseCure = "On the node: sysctl -w net.ipv4.conf.all.rp_filter=1, and in a file of /etc/sysctl.d; or set FELIX_IGNORELOOSERPF=true in the DaemonSet, " +
	"or update Calico: 3.12 and later do not ask for it."

var unreachable = word{regexp.MustCompile(`timeout contacting kube-api|(?:https://\S+/api|api-server).*dial tcp \S+: (?:i/o timeout|connect: )`),
	"does not reach the API server",
	"See that kube-proxy works on the node: the agent asks the Service kubernetes. Where Cilium replaces kube-proxy, set k8sServiceHost and k8sServicePort."}

func findAgentsUnhealthy(s *facts.Snapshot) []checks.Finding {
	said := calicoSays(s)
	proxied := sync.OnceValue(func() func(string) bool { return proxies(s) })
	cut := sync.OnceValue(func() map[string][]facts.Ref { return cutOff(s) })
	var out []checks.Finding
	for _, p := range s.Pods {
		if p.Ready || p.Deleting {
			continue // most pods are Ready, and to recognise an agent takes its time
		}
		a, n := plugins.Agent(p), s.Node(p.Node)
		if a == nil || a.Kind == plugins.Policy || n != nil && silent(n) || said[p.Ref()] != nil {
			continue
		}
		f := ill(s, p)
		if f.Message == "" || f.Message == unreachable.message && !proxied()(p.Node) {
			continue
		}
		f.Subject = p.Ref()
		if n != nil && facts.NetworkTrouble(n) != "" {
			f.Places = append(f.Places, facts.NodeRef(n.Name))
		}
		if a.Kind == plugins.Primary {
			f.Places = append(f.Places, cut()[p.Node]...)
		}
		out = append(out, f)
	}
	return out
}

// noWay matches what says that packets of a pod get lost.
var noWay = regexp.MustCompile(`dial tcp \S+: (?:i/o timeout|connect: (?:no route to host|network is unreachable))`)

// cutOff returns, by node, the pods of cluster DNS on the pod network that are not Ready and whose last
// words say that packets get lost: an agent that is ill may be why. What else may be wrong with them
// does not come of it.
func cutOff(s *facts.Snapshot) map[string][]facts.Ref {
	out := map[string][]facts.Ref{}
	for _, p := range s.DNSPods() {
		if p.Ready || p.HostNetwork {
			continue
		}
		for i := range p.Containers {
			if lastLine(s.Logs[p.Namespace+"/"+p.Name+"/"+p.Containers[i].Name].Current, noWay, ending) != "" {
				out[p.Node] = append(out[p.Node], p.Ref())
				break
			}
		}
	}
	return out
}

// silent tells whether nothing was heard from a node's kubelet, so that what the API says of its
// pods is old.
func silent(n *corev1.Node) bool {
	c := facts.NodeReady(n)
	return c != nil && c.Status == corev1.ConditionUnknown
}

// proxies returns what tells whether nothing speaks against a node's kube-proxy: one that is
// Ready is there, or the cluster has none at all.
func proxies(s *facts.Snapshot) func(node string) bool {
	all, ready := s.KubeProxyPods(), map[string]bool{}
	for _, p := range all {
		if p.Ready {
			ready[p.Node] = true
		}
	}
	return func(node string) bool { return len(all) == 0 || ready[node] }
}

// ill says what is wrong with an agent that is not Ready; the message is empty where it may
// still become so.
func ill(s *facts.Snapshot, p *facts.Pod) checks.Finding {
	for i := range p.Containers {
		if end := ended(s, &p.Containers[i]); end != nil {
			return crashed(s, p, &p.Containers[i], end)
		}
	}
	if s.Taken.Sub(since(p)) < patience {
		return checks.Finding{}
	}
	for i := range p.Containers {
		c := &p.Containers[i]
		if e := lastWords(s, p, c); e.Message != "" {
			e.Message = strings.Replace(e.Message, "crashes: ", "does not become Ready: ", 1)
			return e
		}
	}
	return checks.Finding{
		Message:  fmt.Sprintf("does not become Ready (%s)", p.Trouble()),
		Remedy:   "Do what its state and its events ask for, and read its log; kubectl describe shows the former.",
		Evidence: checks.QuoteWaiting(s, p),
	}
}

// since returns when the pod ceased to be Ready, or was made.
func since(p *facts.Pod) time.Time {
	if p.ReadySince > p.Created {
		return p.ReadySince.Time()
	}
	return p.Created.Time()
}

// ended returns how a container ended with an error a short while ago, or nil.
func ended(s *facts.Snapshot, c *facts.Container) *facts.State {
	last := c.Last()
	switch {
	case c.State.Phase == facts.Terminated && c.State.ExitCode != 0:
		return &c.State
	case c.State.Phase == facts.Waiting && c.State.Reason == "CrashLoopBackOff":
		return &last
	case !c.Ready && last.Phase == facts.Terminated && last.ExitCode != 0 && s.Taken.Sub(last.Finished.Time()) < recent:
		return &last
	}
	return nil
}

func crashed(s *facts.Snapshot, p *facts.Pod, c *facts.Container, end *facts.State) checks.Finding {
	exit := checks.Quote(fmt.Sprintf("%s, container %s", p.Ref(), c.Name),
		fmt.Sprintf("restarted %d times, last exit: %s, code %d", c.Restarts, end.Reason, end.ExitCode))
	if end.Reason == "OOMKilled" {
		return checks.Finding{Message: "is killed because it uses more memory than its limit",
			Remedy: "Raise or remove the memory limit of its container.", Evidence: []checks.Evidence{exit}}
	}
	f := lastWords(s, p, c)
	if f.Message == "" {
		f.Message = fmt.Sprintf("crashes (container %s, exit code %d)", c.Name, end.ExitCode)
		f.Remedy = checks.Command("Read the last words of that container: kubectl -n %s logs --previous, for one of the pods.", p.Namespace)
	}
	f.Evidence = append(f.Evidence, exit)
	return f
}

// lastWords looks at the end of a container's log for the last line that says what it lacks. What
// stands further up may have passed.
func lastWords(s *facts.Snapshot, p *facts.Pod, c *facts.Container) checks.Finding {
	log := s.Logs[p.Namespace+"/"+p.Name+"/"+c.Name]
	for _, l := range []struct{ which, text string }{{"log", log.Current}, {"previous log", log.Previous}} {
		lines := slices.Collect(strings.Lines(l.text))
		for _, line := range slices.Backward(lines[max(0, len(lines)-ending):]) {
			for _, w := range words {
				if w.re.MatchString(line) {
					return checks.Finding{Message: w.message, Remedy: w.remedy,
						Evidence: []checks.Evidence{checks.QuoteLog(p, l.which, strings.TrimSpace(line))}}
				}
			}
		}
	}
	return checks.Finding{}
}
