package node

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NetworkUnavailable finds nodes that are kept free of new pods because their network is
// said to be not set up.
var NetworkUnavailable = &checks.Check{
	ID:       "node-networkunavailable",
	Title:    "No node is marked as having no network",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/node/node-status/#condition",
	Needs:    []*facts.Source{facts.Nodes},
	Explains: []*checks.Check{coredns.Pending, traffic.PodToPod},
	ByHand: []string{`kubectl get nodes -o custom-columns='NODE:.metadata.name,UNAVAILABLE:.status.conditions[?(@.type=="NetworkUnavailable")].reason'`,
		"kubectl describe node NODE", "kubectl get pods -A -o wide --field-selector spec.nodeName=NODE"},
	Run: findUnavailable,
	Doc: `A node has the condition ` + "`NetworkUnavailable`" + ` with status True. The controller manager gives it the taint
` + "`node.kubernetes.io/network-unavailable`" + ` for that, and no pod without a toleration is placed there. Network plugins and clouds write the
condition; many plugins never do, and a node without it is well.

**CalicoIsDown**: the pod of calico-node was ended on the node and has not come back. **NoRouteCreated**: the cloud's route controller
has made no route for the node's pods, because a quota is used up or a right is missing; or a cloud was configured that makes
routes (` + "`--configure-cloud-routes`" + `), and the network plugin needs none.

Cure: for Calico, find out why calico-node does not run on the node; it sets the condition to False when it starts. For routes,
read the log of the cloud controller manager, or give it ` + "`--configure-cloud-routes=false`" + ` where the plugin carries the traffic itself. Do not
edit the condition or the taint: they are written again.`,
}

func findUnavailable(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, n := range s.Nodes {
		i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeNetworkUnavailable })
		if i < 0 || n.Status.Conditions[i].Status != corev1.ConditionTrue {
			continue
		}
		if c := &n.Status.Conditions[i]; s.Taken.Sub(c.LastTransitionTime.Time) >= settling {
			out = append(out, unavailable(n, c))
		}
	}
	return out
}

func unavailable(n *corev1.Node, c *corev1.NodeCondition) checks.Finding {
	f := checks.Finding{
		Subject:  facts.NodeRef(n.Name),
		Message:  "takes no new pods: its network is marked as unavailable (" + c.Reason + ")",
		Remedy:   "Look at the network plugin's pod on the node, and at the log of the cloud controller manager if there is one. Do not edit the condition.",
		Evidence: []checks.Evidence{checks.Quote("Node "+n.Name+", condition NetworkUnavailable", c.Reason+": "+c.Message)},
	}
	switch c.Reason {
	case "CalicoIsDown":
		f.Remedy = "Find out why calico-node does not run on this node: describe its pod there. When it starts, it sets the condition to False."
	case "NoRouteCreated":
		f.Remedy = "Read why no route was made in the log of the cloud controller manager (quota, rights), " +
			"or give it --configure-cloud-routes=false where the network plugin needs no routes of the cloud."
	}
	for i := range n.Spec.Taints {
		if t := &n.Spec.Taints[i]; t.Key == corev1.TaintNodeNetworkUnavailable {
			f.Evidence = append(f.Evidence, checks.Quote("Node "+n.Name+", spec.taints", t.Key+":"+string(t.Effect)))
		}
	}
	return f
}
