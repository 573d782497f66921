package coredns

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Pending finds CoreDNS pods that no node takes, and says why.
var Pending = &checks.Check{
	ID:       "coredns-pending",
	Title:    "Every CoreDNS pod has a node to run on",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/troubleshooting-kubeadm/#coredns-is-stuck-in-the-pending-state",
	Needs:    []*facts.Source{facts.SystemPods, facts.Nodes},
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl -n kube-system describe pods -l k8s-app=kube-dns",
		"kubectl describe nodes | grep -A3 Taints"},
	Run: findPending,
	Doc: `A pod of CoreDNS that the scheduler finds no node for stays Pending. The usual reason is that every node is
tainted: **not-ready** as long as no network plugin is installed (after kubeadm init this is expected, and CoreDNS is the
first to show it), **uninitialized** while a cloud controller manager is missing, **unschedulable** after a cordon, or a
plugin's own start-up taint. Other reasons: not enough CPU or memory, a node selector that no node fulfils, or more
replicas than nodes while the replicas refuse to share one; in that last case the others serve and it is only a warning, or worth
knowing where each node has one.

The scheduler of Kubernetes 1.37 no longer tells which taint it was; it is computed here from the nodes.

Cure: that of the reason. Install the network plugin, ` + "`kubectl uncordon`" + `, add a node, or lower the number of
replicas. A toleration added to CoreDNS only moves it on to ContainerCreating. A pod that has a node and stays
in ContainerCreating is another matter.`,
}

// waiting is a reason for which a workload's pods have no node.
type waiting struct {
	message, from, text, remedy string
}

func findPending(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range s.DNSPods() {
		if p.Phase != corev1.PodPending || p.Node != "" || p.Deleting || s.Taken.Sub(p.Created.Time()) < grace {
			continue
		}
		w := whyWaiting(s, p)
		i := slices.IndexFunc(out, func(f checks.Finding) bool { return f.Subject == owner(p) && f.Message == w.message })
		if i < 0 {
			i = len(out)
			out = append(out, checks.Finding{Subject: owner(p), Message: w.message, Remedy: w.remedy})
			switch {
			case w.message == refuseToShare && everyNodeServes(s, p):
				out[i].Severity = checks.Info // there is one on each node: no more than the replica is missing
			case anyReady(s, owner(p)):
				out[i].Severity = checks.Warning
			}
			if w.from != "" {
				out[i].Evidence = append(out[i].Evidence, checks.Quote(w.from, w.text))
			}
		}
		if p.Unschedulable() != "" {
			out[i].Evidence = append(out[i].Evidence, checks.Quote(p.Ref().String()+", condition PodScheduled", p.Unschedulable()))
		}
		out[i].Places = append(out[i].Places, p.Ref())
	}
	return out
}

// refuseToShare is told of replicas that are more than the nodes they may be alone on.
const refuseToShare = "has no node to run on: its replicas refuse to share a node"

// everyNodeServes tells whether a Ready replica of the pod's workload stands on each node that
// the pod could be placed on.
func everyNodeServes(s *facts.Snapshot, p *facts.Pod) bool {
	serving := map[string]bool{}
	for _, other := range s.DNSPods() {
		serving[other.Node] = serving[other.Node] || owner(other) == owner(p) && other.Ready && !other.Deleting
	}
	return !slices.ContainsFunc(s.Nodes, func(n *corev1.Node) bool {
		return !serving[n.Name] && facts.Matches(p.NodeSelector, n.Labels) && len(facts.Repelling(n, p)) == 0
	})
}

// whyWaiting looks for the reason in the order in which the scheduler's own words
// become less telling: taints, then what a pod asks of a node, then its message.
func whyWaiting(s *facts.Snapshot, p *facts.Pod) waiting {
	if p.Unschedulable() == "" {
		return waiting{message: "waits for the scheduler, which has not looked at it yet", from: p.Ref().String(),
			text: "no condition PodScheduled", remedy: "See whether kube-scheduler runs, or the scheduler that the pod names in schedulerName."}
	}
	if len(s.Nodes) == 0 {
		return waiting{message: "waits for a node: the cluster has none", remedy: "Add a node to the cluster."}
	}
	candidates := slices.DeleteFunc(slices.Clone(s.Nodes), func(n *corev1.Node) bool { return !facts.Matches(p.NodeSelector, n.Labels) })
	if len(candidates) == 0 {
		want := pairs(p.NodeSelector)
		return waiting{message: "waits for a node labelled " + want + ": there is none", from: p.Ref().String() + ", spec.nodeSelector",
			text: want, remedy: "Add a node that carries the label, or correct the node selector of CoreDNS."}
	}
	if keys, quote := taintsOf(candidates, p); keys != nil {
		return waiting{message: "has no node to run on: every node repels it with " + strings.Join(keys, ", "),
			from: "taints of the nodes", text: quote, remedy: taintRemedy(keys)}
	}
	return whyUnschedulable(p)
}

// taintsOf returns the keys of the taints that keep the pod away from the nodes, or nil
// if some node has none.
func taintsOf(nodes []*corev1.Node, p *facts.Pod) (keys []string, quote string) {
	var quotes []string
	for _, n := range nodes {
		taints := facts.Repelling(n, p)
		if len(taints) == 0 {
			return nil, ""
		}
		for _, t := range taints {
			keys = append(keys, t.Key)
			quotes = append(quotes, n.Name+": "+t.ToString())
		}
	}
	slices.Sort(keys)
	const most = 10
	if n := len(quotes); n > most {
		quotes = append(quotes[:most], fmt.Sprintf("and %d more", n-most))
	}
	return slices.Compact(keys), strings.Join(quotes, "; ")
}

func taintRemedy(keys []string) string {
	has := func(words ...string) bool {
		return slices.ContainsFunc(keys, func(k string) bool {
			return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(k, w) })
		})
	}
	switch {
	case has("/not-ready", "/unreachable", "/network-unavailable", "/agent-not-ready"):
		return "Cure the nodes: the taint goes when they are Ready, which needs a working network plugin."
	case has("/uninitialized"):
		return "Start the cloud controller manager: it takes the taint off once it has initialised the node."
	case has("/unschedulable"):
		return "Let pods onto a node again: kubectl uncordon NODE."
	}
	return checks.Command("Take the taint off a node (kubectl taint nodes NODE %s-), or add a node without it.", keys[0])
}

func whyUnschedulable(p *facts.Pod) waiting {
	w := waiting{message: "has no node to run on", remedy: "Read the scheduler's message: it counts the nodes for each reason."}
	switch m := p.Unschedulable(); {
	case strings.Contains(m, "Insufficient"), strings.Contains(m, "Too many pods"):
		w.message = "has no node to run on: none has enough room"
		w.remedy = "Free what the scheduler's message names as insufficient, or add a node."
	case strings.Contains(m, "anti-affinity"):
		w.message = refuseToShare
		w.remedy = "Lower the number of replicas to that of the nodes, add a node, or make the anti-affinity preferred instead of required."
	case strings.Contains(m, "affinity"):
		w.message = "has no node to run on: none fulfils its node affinity"
		w.remedy = "Add a node that fulfils it, or correct the affinity of CoreDNS."
	}
	return w
}

func pairs(labels map[string]string) string {
	var out []string
	for k, v := range labels {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}
