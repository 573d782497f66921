package cni

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Exhausted finds nodes that have no address left for a new pod.
var Exhausted = &checks.Check{
	ID:       "ip-exhausted",
	Title:    "Nodes have addresses left for new pods",
	Severity: checks.Error,
	URL:      "https://www.cni.dev/plugins/current/ipam/host-local/",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets, facts.ConfigMaps},
	Explains: []*checks.Check{SandboxFailures},
	ByHand: []string{"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
		"kubectl get nodes -o custom-columns=NODE:.metadata.name,RANGE:.spec.podCIDR,PODS:.status.allocatable.pods",
		"ls /var/lib/cni/networks/* # on the node: one file for each address in use, holding a sandbox's id"},
	Run: findExhausted,
	Doc: `Every pod that is not on the host's network takes an address from its node's share. Where none is left, no new pod
starts on the node.

**How it comes about**: the node's range is smaller than the number of pods it may run (a /26 has room for 61, kubelets
allow 110); or addresses of pods that are gone were never given back, as after a node was switched off: host-local keeps a
file for each in /var/lib/cni/networks, and those are not removed with the pods. The AWS VPC CNI takes addresses from the
subnet and hangs them on the machine's interfaces: the subnet may be empty, or the machine's type may hold no more. Azure CNI takes them
from the subnet of the node pool, too. Weave Net divides one range among its peers, and what a node owned that is gone stays with
it: then the sandboxes run out of time (DeadlineExceeded), while the ConfigMap weave-net names peers that are no nodes.

**Cure**: for a range that is full, fewer pods for each node (maxPods) or larger ranges, which only new nodes get. For
addresses that are lost, drain the node and remove the files whose sandbox ` + "`crictl pods -q`" + ` does not list.`,
}

// BridgeTaken finds nodes whose bridge still has an address of another range.
var BridgeTaken = &checks.Check{
	ID:       "bridge-ip-conflict",
	Title:    "The nodes' bridges have the address of their present range",
	Severity: checks.Error,
	URL:      "https://www.cni.dev/plugins/current/main/bridge/",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets, facts.ConfigMaps, facts.Files},
	Parts:    takenParts,
	Explains: []*checks.Check{SandboxFailures},
	ByHand: []string{"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
		"kubectl get node NODE -o jsonpath='{.spec.podCIDR}'", "ip -4 addr show cni0 # on the node"},
	Run: findBridgeTaken,
	Doc: `The program bridge, which Flannel, kube-router and others call, gives the node's bridge the first address of the
node's range. If the bridge has an address of another range already, it refuses to go on, and no new pod starts on the node. With --depth host
the bridge's addresses are compared with the range that the node's configuration names, before any pod fails.

**How it comes about**: the node was deleted and joined again, or the cluster was made anew with kubeadm reset and init. The
node got another range, and the bridge of its earlier life is still there: kubeadm reset does not delete it.

**Cure**: drain the node, delete the bridge on it (` + "`ip link delete cni0`" + `), and let pods back. The next pod makes the bridge anew.
Pods that still run on the old range lose their network with it.`,
}

func findExhausted(s *facts.Snapshot) []checks.Finding {
	nodes, _ := byNode(s, exhausted)
	var out []checks.Finding
	for _, pods := range nodes {
		if pods[0].plugin == "weave" {
			out = append(out, ownedByGone(s, pods))
			continue
		}
		if pods[0].plugin == "aws-vpc" {
			out = append(out, onNode(pods, "has no address left for new pods: the AWS VPC CNI gets none",
				"See how many addresses the node's subnet has left, and how many the machine's type can hold; "+
					"then add subnets, turn on prefix delegation, or run fewer pods for each node."))
			continue
		}
		if pods[0].plugin == "azure" {
			out = append(out, onNode(pods, "has no address left for new pods: Azure CNI gets none",
				"See how many addresses the subnet of the nodes (or of the pods) has left, and the maximum of pods for each node of the pool; "+
					"then add a node pool in a larger subnet, or delete pods that nobody needs. If there are plenty, restart azure-cns on the node."))
			continue
		}
		f := onNode(pods, "has no address left for new pods: its range is used up",
			"Let the node run fewer pods than its range has addresses (maxPods of the kubelet); larger ranges are given to new nodes alone.")
		room, used := space(s.Node(f.Subject.Name), pods[0].words[0]), inUse(s, f.Subject.Name)
		if room > 0 {
			f.Evidence = append(f.Evidence, checks.Quote("Node "+f.Subject.Name+", podCIDR and pods",
				fmt.Sprintf("%s has room for %d pods, %d have an address", s.Node(f.Subject.Name).Spec.PodCIDR, room, used)))
		}
		if used < room/2 {
			f.Message = "has no address left for new pods, although few are in use: those of pods that are gone were not given back"
			f.Remedy = "Drain the node; then remove on it the files in /var/lib/cni/networks/* that hold a sandbox which crictl pods -q does not list."
		}
		out = append(out, f)
	}
	return out
}

// space returns how many pods a node's IPv4 range has addresses for: its own, the bridge's and the one
// for all do not count. It returns 0 where the set of ranges that is used up is another one.
func space(n *corev1.Node, set string) int {
	if n == nil {
		return 0
	}
	r, err := netip.ParsePrefix(n.Spec.PodCIDR)
	from, _, _ := strings.Cut(set, "-")
	first, bad := netip.ParseAddr(from)
	if err != nil || bad != nil || !r.Addr().Is4() || !r.Contains(first) {
		return 0
	}
	return max(1<<(32-r.Bits())-3, 0)
}

func inUse(s *facts.Snapshot, node string) int {
	count := 0
	for _, p := range s.PodsOn(node) {
		if !p.HostNetwork && !p.Finished() && p.JoinedIPs != "" {
			count++
		}
	}
	return count
}

func findBridgeTaken(s *facts.Snapshot) []checks.Finding {
	nodes, _ := byNode(s, bridgeTaken)
	var out []checks.Finding
	for _, pods := range nodes {
		message, cure := takenBridge(pods[0].words[0])
		f := onNode(pods, message, cure)
		if n := s.Node(f.Subject.Name); n != nil && n.Spec.PodCIDR != "" {
			f.Evidence = append(f.Evidence, checks.Quote("Node "+n.Name, "podCIDR: "+n.Spec.PodCIDR))
		}
		out = append(out, f)
	}
	return takenFiles(s, out)
}

func takenBridge(bridge string) (message, cure string) {
	return fmt.Sprintf("starts no new pod: its bridge %s still has an address of another range", bridge),
		fmt.Sprintf("Drain the node, then on it: ip link set %s down && ip link delete %s. The next pod makes the bridge anew.", bridge, bridge)
}
