package node

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// PodCIDROverlap finds nodes that were given the same addresses for their pods.
var PodCIDROverlap = &checks.Check{
	ID:       "node-podcidr-overlap",
	Title:    "No two nodes have the same pod range",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/cluster-administration/networking/",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets},
	When:     rangesUnused,
	Explains: []*checks.Check{PodIPDuplicate, traffic.PodToPod},
	ByHand:   []string{"kubectl get nodes -o custom-columns=NODE:.metadata.name,CIDR:.spec.podCIDRs"},
	Run:      findOverlap,
	Doc: `The ranges of two nodes, ` + "`spec.podCIDRs`" + `, overlap. The plugin leads each address to one node only, so pods of the other are out of reach
from everywhere else, and two pods may have the same address.

The controller manager never gives out a range twice. It comes about where somebody wrote a range into a node by hand, where node
objects came back from a backup, or where two controller managers with different settings gave out ranges.

Cure: the field cannot be changed. Drain the node that got its range last, delete its Node object, remove the plugin's bridge there
(cni0), and restart its kubelet: it registers anew and is given a free range.`,
}

func findOverlap(s *facts.Snapshot) []checks.Finding {
	others := map[*corev1.Node][]podRange{}
	mine := map[*corev1.Node]podRange{}
	var widest podRange // the one that reaches furthest so far
	for _, r := range podRanges(s) {
		if widest.node != nil && widest.Overlaps(r.Prefix) {
			clash(others, mine, r, widest)
			clash(others, mine, widest, r)
		}
		if widest.node == nil || !widest.Overlaps(r.Prefix) {
			widest = r
		}
	}
	var out []checks.Finding
	for _, n := range s.Nodes {
		if len(others[n]) > 0 {
			out = append(out, overlap(n, mine[n], others[n]))
		}
	}
	return out
}

func clash(others map[*corev1.Node][]podRange, mine map[*corev1.Node]podRange, a, b podRange) {
	if len(others[a.node]) < maxQuoted {
		others[a.node] = append(others[a.node], b)
	}
	mine[a.node] = a
}

func overlap(n *corev1.Node, mine podRange, others []podRange) checks.Finding {
	f := checks.Finding{
		Subject:  facts.NodeRef(n.Name),
		Message:  "has a pod range that another node has as well, in whole or in part",
		Remedy:   "Of the nodes that share a range keep one. Drain the others, delete their Node objects and the plugin's bridge on them (cni0), and restart their kubelets: they are given free ranges.",
		Evidence: []checks.Evidence{checks.Quote("Node "+n.Name, "podCIDRs: "+mine.String())},
	}
	for _, o := range others {
		f.Evidence = append(f.Evidence, checks.Quote("Node "+o.node.Name, "podCIDRs: "+o.String()))
	}
	return f
}
