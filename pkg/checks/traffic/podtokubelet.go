package traffic

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// PodToKubelet finds kubelets that pods do not reach. It explains nothing: a firewall may keep
// pods from kubelets on purpose.
var PodToKubelet = &checks.Check{
	ID:       "pod-to-kubelet",
	Title:    "Pods reach the kubelets of the nodes",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/networking/ports-and-protocols/",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Nodes, facts.Pods, facts.NetworkPolicies},
	Parts:    tries.Parts(unaskedKubelets),
	ByHand: []string{"kubectl run a --rm -it --restart=Never --image=busybox:1.36 --overrides='{\"spec\":{\"nodeName\":\"NODE\"}}' -- nc -zvw3 ADDRESS 10250 # of a node",
		"kubectl top nodes # asks them by way of metrics-server"},
	Run: unless(findPodToKubelet),
	Doc: `A pod on each of some nodes tried to connect to the kubelet of each of these nodes. A refused connection counts as an answer: the way is open.
metrics-server, and with it ` + "`kubectl top`" + ` and autoscaling, and Prometheus ask kubelets. Other pods do not need them.

A firewall may keep pods from kubelets on purpose, so this is no more than a warning, and explains nothing else. Where no kubelet answers any pod of
another node, or that of a control-plane node answers none, it is only told as information. Where pods of a node reach API servers neither, it is
**pod-to-node**.

**How it comes about**: a firewall of some nodes, or a security group, that knows the control plane and not the pods' addresses. Where pods of a node
reach no kubelet of other nodes, the node may not forward their packets (**node-ip-forward**, **node-forward-drop**).

**Cure**: let TCP port 10250 of the nodes through from pods, if any of them is to ask kubelets.`,
}

// unaskedKubelets says that a node tried no kubelet, or that none can be told from the rest.
func unaskedKubelets(s *facts.Snapshot, node string) string {
	if tries.Mute(s, node) {
		return "its pods reach no other machine at all"
	}
	return untried("it tried no kubelet", facts.TargetNode)(s, node)
}

// findPodToKubelet tells which kubelets do not answer, where the pods of a node reach other
// machines.
func findPodToKubelet(s *facts.Snapshot) []checks.Finding {
	m, of := tries.Map{}, map[tries.Pair]facts.Try{}
	known := tries.Nodes(s)
	for _, t := range tries.Of(s, func(t facts.Try) bool { return t.Target == facts.TargetNode && slices.Contains(known, t.ToNode) }) {
		if p := (tries.Pair{From: t.Node, To: t.ToNode}); !tries.Mute(s, t.Node) {
			m[p], of[p] = !tries.Reached(t), t
		}
	}
	local := m.Local()
	var out []checks.Finding
	for _, f := range m.Locate(func(string) bool { return false }, zones(s)) {
		finding := checks.Finding{Subject: facts.Cluster(), Message: kubeletWords(f), Remedy: "Let TCP port 10250 of the nodes through from pods, " +
			"if metrics-server, Prometheus or others are to ask the kubelets." + tries.Rulers(s)}
		if f.Node != "" {
			finding.Subject = facts.NodeRef(f.Node)
		}
		if f.Place == tries.Everywhere || f.Place == tries.In && controlPlane(s, f.Node) {
			finding.Severity = checks.Info // it may be meant
		}
		finding.Unexplained = f.Place == tries.In // no rule about what a node forwards touches what comes to itself
		for _, p := range spread(f.Pairs)[:min(len(f.Pairs), shown)] {
			finding.Evidence = append(finding.Evidence, tries.Quote(of[p]))
		}
		out = append(out, finding)
		local = slices.DeleteFunc(local, func(node string) bool { return f.Place == tries.Everywhere || f.Place != tries.Out && node == f.Node })
	}
	for _, node := range local {
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(node), Message: "runs pods that do not reach the kubelet of their own node", Unexplained: true,
			Evidence: []checks.Evidence{tries.Quote(of[tries.Pair{From: node, To: node}])},
			Remedy:   "Let TCP port 10250 through from the node's own pods (iptables -S INPUT; nft list ruleset), if metrics-server, Prometheus or others are to ask the kubelet." + tries.Rulers(s),
		})
	}
	return out
}

func controlPlane(s *facts.Snapshot, node string) bool {
	n := s.Node(node)
	return n != nil && facts.ControlPlane(n)
}

func kubeletWords(f tries.Fault) string {
	switch f.Place {
	case tries.Everywhere:
		return "lets no pod reach the kubelet of another node"
	case tries.Around:
		return "runs pods that reach the kubelet of no other node, and a kubelet that no pod on other nodes reaches"
	case tries.Out:
		return "runs pods that reach the kubelet of no other node"
	case tries.In:
		return "runs a kubelet that no pod on other nodes reaches"
	case tries.Zones:
		return "lets no pod reach a kubelet in another zone"
	}
	return "does not let pods reach the kubelets of some other nodes: " + list(f.Pairs)
}
