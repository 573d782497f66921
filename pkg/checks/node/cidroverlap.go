package node

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CIDROverlap finds nodes whose pod range holds addresses that belong to Services or to
// machines.
var CIDROverlap = &checks.Check{
	ID:       "cidr-overlap",
	Title:    "The ranges of pods, Services and nodes do not overlap",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/cluster-administration/networking/#kubernetes-ip-address-ranges",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets, facts.Services},
	MayUse:   []*facts.Source{facts.ConfigMaps},
	When:     overlapUnseen,
	Explains: []*checks.Check{coredns.APIUnreachable, coredns.NotSynced},
	ByHand: []string{"kubectl get nodes -o custom-columns='NODE:.metadata.name,CIDR:.spec.podCIDRs,ADDRESSES:.status.addresses[*].address'",
		"kubectl get services -A -o wide", "kubectl get servicecidrs",
		"kubectl -n kube-system get configmap kubeadm-config -o yaml | grep -i subnet"},
	Run: findCIDROverlap,
	Doc: `The addresses of pods, of Services and of the nodes must come from three ranges that have nothing in common. A node takes every
address of its pod range for that of a neighbour on its own bridge. Where the cluster IP of a Service lies in it, pods of that
node look for it there, and nobody answers: with the address of cluster DNS no name resolves, while CoreDNS answers at the address of its pod.
Where the address of a machine lies in it, that machine is out of reach from the node.

How it comes about: ` + "`--pod-network-cidr`" + ` was set to the range of Services, 10.96.0.0/12 by default, or to a part of it; or the default
of a network plugin, 192.168.0.0/16 or 10.244.0.0/16, is also the network in which the nodes stand. kubeadm does not refuse it.
What kubeadm was told, and no address has met yet, is a warning. Calico takes the pods' range from there too, unless it is told another;
there it is looked at where pods have addresses of it.

Cure: there is none in place. Ranges of nodes and the range of Services cannot be changed in a running cluster without
re-creating nodes and Services: plan a range for the pods that nothing else has, and make the cluster anew with it. Where the
plugin can have ranges of its own, it can be moved to another one, node by node.`,
}

// lookup finds the range that an address lies in. Ranges are nested or have nothing in
// common, so the last one that begins before the address decides, as long as no two nodes
// have the same.
func lookup(ranges []podRange, ip netip.Addr) *corev1.Node {
	i, exact := slices.BinarySearchFunc(ranges, ip, func(r podRange, ip netip.Addr) int { return r.Addr().Compare(ip) })
	if !exact {
		i--
	}
	if i < 0 || !ranges[i].Contains(ip) {
		return nil
	}
	return ranges[i].node
}

// taken holds what lies in the range of a node and does not belong there.
type taken struct{ services, nodes []checks.Evidence }

func findCIDROverlap(s *facts.Snapshot) []checks.Finding {
	var ranges []podRange
	if rangesUnused(s) == "" {
		ranges = podRanges(s)
	}
	found := map[*corev1.Node]*taken{}
	at := func(ip netip.Addr) *taken {
		n := lookup(ranges, ip)
		if n != nil && found[n] == nil {
			found[n] = &taken{}
		}
		return found[n]
	}
	for _, svc := range s.Services {
		for _, text := range facts.ClusterIPs(svc) {
			if ip, err := netip.ParseAddr(text); err == nil {
				if t := at(ip); t != nil && len(t.services) < maxQuoted {
					t.services = append(t.services, checks.Quote(facts.ServiceRef(svc).String(), "clusterIP: "+text))
				}
			}
		}
	}
	for _, n := range s.Nodes {
		for _, ip := range addressesOf(n, corev1.NodeInternalIP) {
			if t := at(ip); t != nil && len(t.nodes) < maxQuoted {
				t.nodes = append(t.nodes, checks.Quote("Node "+n.Name, "InternalIP: "+ip.String()))
			}
		}
	}
	var out []checks.Finding
	services, nodes := false, false
	for _, n := range s.Nodes {
		if t := found[n]; t != nil {
			out = append(out, t.findings(n)...)
			services, nodes = services || len(t.services) > 0, nodes || len(t.nodes) > 0
		}
	}
	if p, known := planned(s); known {
		out = append(out, p.findings(s, services)...)
		if !nodes {
			out = append(out, p.amongPods(s)...)
		}
	}
	return out
}

func (t *taken) findings(n *corev1.Node) []checks.Finding {
	var out []checks.Finding
	add := func(message string, what []checks.Evidence) {
		if len(what) == 0 {
			return
		}
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(n.Name), Message: message,
			Remedy:   "Choose a range for the pods that neither Services nor machines have (--cluster-cidr of the controller manager, and the plugin's), and re-create the nodes with it.",
			Evidence: append([]checks.Evidence{checks.Quote("Node "+n.Name, facts.QuotePodRanges(n))}, what...),
		})
	}
	add("has a pod range with addresses of Services in it: pods there look for these on their own node", t.services)
	add("has a pod range with addresses of nodes in it: these are out of reach from there", t.nodes)
	return out
}
