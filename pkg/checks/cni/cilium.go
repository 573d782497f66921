package cni

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

const (
	ciliumTaint = "node.cilium.io/agent-not-ready"
	// taintGrace is how long Cilium's taint may stand: new nodes are made with it.
	taintGrace = 5 * time.Minute
)

// CiliumNotReady finds nodes that wait for Cilium's agent.
var CiliumNotReady = &checks.Check{
	ID:       "cilium-agent-not-ready",
	Title:    "No node waits for Cilium's agent",
	Severity: checks.Error,
	URL:      "https://docs.cilium.io/en/stable/installation/taints/",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods},
	MayUse:   []*facts.Source{facts.Events, facts.DaemonSets},
	Explains: []*checks.Check{SandboxFailures, traffic.PodToPod},
	ByHand: []string{"kubectl get nodes -o custom-columns=NODE:.metadata.name,TAINTS:.spec.taints[*].key",
		"kubectl get pods -A -o wide -l k8s-app=cilium", "kubectl -n kube-system exec ds/cilium -c cilium-agent -- cilium-dbg status --brief"},
	Run: findCiliumNotReady,
	Doc: `Cilium's program on the node asks its agent for the address of each pod, through a socket below /var/run/cilium. If
nobody answers there for 30 seconds, the pod's sandbox fails, and no new pod starts on the node. Nodes may be made with the taint
node.cilium.io/agent-not-ready, which keeps pods away until the agent is Ready; cilium-operator then takes it away.

On a new node that is normal: the taint may stand for five minutes. Otherwise the agent does not become Ready, or it is Ready
and the operator does not take the taint away: it does not run, or may not patch nodes.

Cure: look at the pod of Cilium on the node, its init containers' logs and its own. If it is Ready, look at the log of
cilium-operator; its ClusterRole must allow to patch nodes.`,
}

func findCiliumNotReady(s *facts.Snapshot) []checks.Finding {
	nodes, net := byNode(s, ciliumSilent)
	told := map[string]bool{}
	var out []checks.Finding
	for _, pods := range nodes {
		f := onNode(pods, "starts no new pod: Cilium's agent does not answer", "Read the log of Cilium's agent on the node; then delete its pod.")
		if a := withAgent(net, &f, "cilium"); a == nil {
			f.Remedy = "Find out why Cilium's agent does not run on this node: compare its DaemonSet's selector and tolerations with the node."
		}
		told[f.Subject.Name] = true
		out = append(out, f)
	}
	var waiting []*corev1.Node
	for _, n := range s.LinuxNodes() {
		if taint(n) != nil && !told[n.Name] && !silent(n) {
			waiting = append(waiting, n)
		}
	}
	if len(waiting) == 0 {
		return out
	}
	net = look(s)
	operator := operators(s)
	for _, n := range waiting {
		if f := tainted(s, net, n); f != nil {
			f.Evidence = append(f.Evidence, operator...)
			out = append(out, *f)
		}
	}
	return out
}

// taint returns Cilium's taint of a node, or nil.
func taint(n *corev1.Node) *corev1.Taint {
	i := slices.IndexFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == ciliumTaint })
	if i < 0 {
		return nil
	}
	return &n.Spec.Taints[i]
}

// tainted reports a node whose taint has stood for too long. It may be set again while an agent
// is made anew.
func tainted(s *facts.Snapshot, net network, n *corev1.Node) *checks.Finding {
	t, from := taint(n), n.CreationTimestamp.Time
	if t.TimeAdded != nil {
		from = t.TimeAdded.Time
	}
	if a := net.agent(n.Name, "cilium"); a != nil && since(a).After(from) {
		from = since(a)
	}
	if s.Taken.Sub(from) < taintGrace || slices.ContainsFunc(s.PodsOn(n.Name), leaving) {
		return nil
	}
	f := checks.Finding{
		Subject:  facts.NodeRef(n.Name),
		Message:  "takes no new pods: it still has the taint of nodes that wait for Cilium's agent",
		Evidence: []checks.Evidence{checks.Quote("Node "+n.Name, "taint "+t.ToString())},
		Remedy:   "Mend Cilium's agent on the node: read its events and its log, with --previous and of its init containers.",
	}
	switch a := withAgent(net, &f, "cilium"); {
	case a == nil:
		f.Remedy = "Install Cilium, or let its DaemonSet reach this node; if Cilium is not wanted, take the taint away."
	case a.Ready:
		f.Remedy = "Read the log of cilium-operator, which takes the taint away: it must run, and its ClusterRole must allow to patch nodes."
	}
	return &f
}

// leaving tells whether a pod is an agent that is made anew.
func leaving(p *facts.Pod) bool { return p.Deleting && plugins.Agent(p) != nil }

// operators tells how what takes the taint away does.
func operators(s *facts.Snapshot) []checks.Evidence {
	for _, d := range plugins.Operators(s) {
		if d.Plugin.ID != "cilium" {
			continue
		}
		p, how := d.Pods[0], "is Ready"
		if !p.Ready {
			how = "is not Ready: " + p.Trouble()
		}
		return []checks.Evidence{checks.Quote(p.Ref().String(), "the operator "+how)}
	}
	return nil
}
