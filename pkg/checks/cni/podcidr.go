package cni

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// settling is how old a node must be before it counts that it was given no range.
const settling = 2 * time.Minute

// PodCIDRMissing finds nodes without a range for their pods whose plugin asks for one.
var PodCIDRMissing = &checks.Check{
	ID:       "node-podcidr-missing",
	Title:    "Every node has the pod range that the network plugin takes from it",
	Severity: checks.Error,
	URL:      "https://github.com/flannel-io/flannel/blob/master/Documentation/troubleshooting.md#kubernetes-specific",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets},
	MayUse:   []*facts.Source{facts.Events},
	When:     rangesNotAsked,
	Explains: []*checks.Check{AgentUnhealthy, SubnetEnvMissing, node.NetworkNotReady, coredns.Pending, symptom.PodNotReady},
	ByHand: []string{"kubectl get nodes -o custom-columns=NODE:.metadata.name,CIDR:.spec.podCIDR",
		"kubectl -n kube-system get pod -l component=kube-controller-manager -o yaml | grep -E 'cidr'",
		"kubectl get events --field-selector reason=CIDRNotAvailable"},
	Run: findNoRange,
	Doc: `The controller manager gives each node a part of the cluster's pod range, ` + "`spec.podCIDR`" + `. Flannel, kube-router and Antrea take
the addresses of the node's pods from it and do not start without: flannel says ` + "`node … pod cidr not assigned`" + ` and exits. Other plugins,
such as Calico and Cilium, have ranges of their own, and there an empty field means nothing.

How it comes about: the cluster was made without ` + "`--pod-network-cidr`" + ` (kubeadm), so that the controller manager gives out nothing; or the
range is used up: a /24 for the cluster with a /24 for each node is enough for one node. Then the node has the event
` + "`CIDRNotAvailable`" + `.

Cure: set ` + "`--allocate-node-cidrs=true`" + ` and ` + "`--cluster-cidr`" + ` in the controller manager's arguments
(/etc/kubernetes/manifests/kube-controller-manager.yaml on each control plane node), with the range that the plugin is configured
for. Where the range is used up, make the nodes' part smaller (` + "`--node-cidr-mask-size`" + `) or the cluster's larger; nodes keep
what they have. A value that is written into a node by hand stays, and nobody else knows that it is taken.`,
}

// rangesNotAsked says why nodes need no range here, or "".
func rangesNotAsked(s *facts.Snapshot) string {
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind == plugins.Primary && d.Plugin.UsesPodCIDR {
			return ""
		}
	}
	return "no network plugin was seen that takes pods' addresses from spec.podCIDR of the nodes"
}

func findNoRange(s *facts.Snapshot) []checks.Finding {
	agents := map[string]*facts.Pod{}
	for _, p := range plugins.Agents(s) {
		if a := plugins.Agent(p); a.Kind == plugins.Primary {
			agents[p.Node] = p
		}
	}
	used := map[string]*facts.Event{}
	for _, e := range s.EventsOf("CIDRNotAvailable") {
		used[e.About.Name] = e
	}
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		if len(facts.PodRanges(n)) > 0 || s.Taken.Sub(n.CreationTimestamp.Time) < settling || content(s, n, agents[n.Name]) {
			continue
		}
		out = append(out, noRange(n, agents[n.Name], used[n.Name]))
	}
	return out
}

// content tells whether the agent on a node does without a range: it is Ready, and not only
// between two crashes; another plugin's agent is there; or kube-router is told the range by
// an annotation (kube-router pkg/utils).
func content(s *facts.Snapshot, n *corev1.Node, agent *facts.Pod) bool {
	if agent == nil {
		return false
	}
	return agent.Ready && !agent.Unsettled(s.Taken, 5*time.Minute) || !plugins.Agent(agent).UsesPodCIDR ||
		n.Annotations["kube-router.io/pod-cidr"] != "" || n.Annotations["kube-router.io/pod-cidrs"] != ""
}

func noRange(n *corev1.Node, agent *facts.Pod, e *facts.Event) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(n.Name),
		Message: "has no pod range, and the network plugin takes pods' addresses from it",
		Remedy: "Let the controller manager give one out: --allocate-node-cidrs=true and --cluster-cidr with the range that the plugin " +
			"is configured for, in /etc/kubernetes/manifests/kube-controller-manager.yaml.",
		Evidence: []checks.Evidence{checks.Quote("Node "+n.Name, "spec.podCIDR: none")},
	}
	if agent != nil {
		f.Evidence = append(f.Evidence, checks.Quote(agent.Ref().String(), fmt.Sprintf("the agent of %s is not Ready: %s", plugins.Agent(agent).Name, agent.Trouble())))
	}
	if e != nil {
		f.Message = "has no pod range: the cluster's is used up"
		f.Remedy = "Give the controller manager a larger --cluster-cidr, or a --node-cidr-mask-size that makes the nodes' parts smaller, " +
			"and the plugin the same range. Nodes keep the part that they have."
		f.Evidence = append(f.Evidence, checks.Quote(e.About.String()+", event "+e.Reason, e.Message))
	}
	return f
}
