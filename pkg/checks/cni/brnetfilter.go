package cni

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// BrNetfilter finds nodes whose kernel does not filter what crosses the pods' bridge.
var BrNetfilter = &checks.Check{
	ID:       "node-br-netfilter",
	Title:    "Nodes filter what crosses the bridge of their pods",
	Severity: checks.Error,
	URL:      "https://github.com/flannel-io/flannel#deploying-flannel-manually",
	Needs:    []*facts.Source{facts.Pods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.Nodes, facts.Files},
	Parts:    bridgeParts,
	Explains: []*checks.Check{AgentUnhealthy, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-flannel logs daemonset/kube-flannel-ds --previous",
		"lsmod | grep br_netfilter # on the node", "sysctl net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables # on the node"},
	Run: findBrNetfilter,
	Doc: `Flannel and kube-router connect the pods of a node to a Linux bridge. Only with the kernel module br_netfilter, and
net.bridge.bridge-nf-call-iptables at 1, do packets from one pod to another on the same node pass the packet filter, where the address
of a Service is replaced. Without it a pod that asks a Service hangs whenever a pod on its own node is chosen, and policies do not hold.

Flannel since 0.26 exits at its start where the module is missing, and its node's new pods get no network. kube-router goes on, and only logs it. With
--depth host the settings of each node are looked at on which a bridge has an address of the pods' range. Plugins that
route to each pod by itself, as Calico, Cilium and Amazon's do, need none of it.

**How it comes about**: nobody loaded the module: kubeadm has not looked for it since 1.30, and Docker loaded it by the way; it was loaded by
hand and did not come back after a start of the machine; the package with the kernel's further modules is not installed. In rootless
clusters the module may be loaded, and the container may not see it.

**Cure**: on the node ` + "`modprobe br_netfilter`" + ` and ` + "`sysctl -w net.bridge.bridge-nf-call-iptables=1`" + `; write br_netfilter into a file of
/etc/modules-load.d and the setting into one of /etc/sysctl.d, so that it lasts; then delete the agent's pod. Flannel does without where
EnableNFTables is true in net-conf.json.`,
}

const (
	flapping    = 5 * time.Minute
	notFiltered = "does not filter what crosses the bridge of its pods: Services do not work between pods of this node, and policies do not hold"
)

var (
	// flannelLacks is how Flannel says that the module is missing, before it exits (main.go).
	flannelLacks = regexp.MustCompile(`Failed to check br_netfilter`)
	// routerLacks is how kube-router says that it could not set the sysctls, which are there only with
	// the module (pkg/controllers/routing). That modprobe fails in its container alone means nothing.
	routerLacks = regexp.MustCompile(`Failed to enable ip6?tables for bridge\.`)
)

// bridged tells whether a pod is an agent whose plugin needs the module.
func bridged(p *facts.Pod) (a *plugins.Plugin, is bool) {
	a = plugins.Agent(p)
	return a, a != nil && slices.Contains([]string{"flannel", "canal", "kube-router"}, a.ID)
}

func bridgeParts(s *facts.Snapshot) []checks.Part { return append(bridgeLogs(s), bridgeFiles(s)...) }

func bridgeLogs(s *facts.Snapshot) []checks.Part {
	var pods []*facts.Pod
	for _, p := range s.Pods {
		if p.Ready || p.Deleting {
			continue
		}
		if _, is := bridged(p); is {
			pods = append(pods, p)
		}
	}
	return checks.PodLogs(pods)
}

func findBrNetfilter(s *facts.Snapshot) []checks.Finding {
	out := bridgesLogged(s)
	for _, n := range s.LinuxNodes() {
		f, found := unfiltered(s, n)
		if !found || silent(n) {
			continue
		}
		told := slices.IndexFunc(out, func(said checks.Finding) bool { return said.Subject == f.Subject })
		if told < 0 {
			out = append(out, f)
			continue
		}
		out[told].Severity = checks.Error
		out[told].Evidence = append(out[told].Evidence, f.Evidence...)
	}
	return out
}

// bridgesLogged returns what agents say of it.
func bridgesLogged(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range plugins.Agents(s) {
		a, is := bridged(p)
		if n := s.Node(p.Node); !is || p.Deleting || n != nil && silent(n) {
			continue
		}
		f := checks.Finding{
			Subject: facts.NodeRef(p.Node),
			Message: "lacks the kernel module br_netfilter, without which Flannel does not start",
			Remedy:  "On the node: modprobe br_netfilter, and name it in a file of /etc/modules-load.d so that it lasts; then delete Flannel's pod.",
		}
		re, most := flannelLacks, ending
		switch {
		case a.ID == "kube-router":
			re, most = routerLacks, 0
			f.Severity = checks.Warning
			f.Message = notFiltered
			f.Remedy = "On the node: modprobe br_netfilter, and name it in a file of /etc/modules-load.d so that it lasts; then delete kube-router's pod."
		case p.Ready && !p.Unsettled(s.Taken, flapping):
			continue // what it said has passed
		}
		if quote, said := lastSaid(s, p, re, most); said {
			f.Evidence = []checks.Evidence{quote}
			out = append(out, f)
		}
	}
	return out
}

// lastSaid returns the last line of a pod's log that matches, within the last lines where most is not
// 0. Where the present instance says nothing and is not Ready, that before it counts.
func lastSaid(s *facts.Snapshot, p *facts.Pod, re *regexp.Regexp, most int) (checks.Evidence, bool) {
	for i := range p.Containers {
		log := s.Logs[p.Namespace+"/"+p.Name+"/"+p.Containers[i].Name]
		if line := lastLine(log.Current, re, most); line != "" {
			return checks.QuoteLog(p, "log", line), true
		}
		if line := lastLine(log.Previous, re, most); line != "" && (!p.Ready || most > 0) {
			return checks.QuoteLog(p, "previous log", line), true
		}
	}
	return checks.Evidence{}, false
}

func lastLine(log string, re *regexp.Regexp, most int) string {
	lines := slices.Collect(strings.Lines(log))
	if most > 0 {
		lines = lines[max(0, len(lines)-most):]
	}
	for _, line := range slices.Backward(lines) {
		if re.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
