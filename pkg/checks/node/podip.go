package node

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// PodIPDuplicate finds pods that have the same address.
var PodIPDuplicate = &checks.Check{
	ID:       "pod-ip-duplicate",
	Title:    "No two pods have the same address",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/#the-kubernetes-network-model",
	Needs:    []*facts.Source{facts.Pods, facts.Nodes},
	When:     sameAddressAllowed,
	ByHand: []string{"kubectl get pods -A -o wide --field-selector status.podIP=ADDRESS",
		"kubectl get pods -A --field-selector status.phase=Running -o custom-columns=IP:.status.podIP,NODE:.spec.nodeName,POD:.metadata.name | sort",
		"ls /etc/cni/net.d # on both nodes: which configuration sorts first"},
	Run: findDuplicates,
	Doc: `Two pods that run on the pod network report the same address. Connections to it reach one of them, or the one from some nodes and the other
from others; Services send requests for one application to another.

How it comes about: on some nodes another configuration than the network plugin's sorts first in /etc/cni/net.d (a leftover of
containerd, Podman or CRI-O): each of them then gives out addresses of the same local range, which nobody else can reach. Two
nodes have the same pod range (see **node-podcidr-overlap**). Two machines are clones of one image and have the same /etc/machine-id, of which
Weave Net makes the name of a node. Or the plugin's record of given addresses was lost:
/var/lib/cni/networks was deleted, or came back from an image of another node.

Cure: find out which pod the address belongs to (` + "`spec.podCIDR`" + ` of its node, or the plugin's own record) and delete the other. Before
that, remove what gave it out, or the next pod gets it again.`,
}

// agreed is how long pods must be Ready before what they report counts: after a restart of
// a node its pods report their old addresses until they are started again.
const agreed = 2 * time.Minute

// sameAddressAllowed says why two pods may have the same address, or "".
func sameAddressAllowed(s *facts.Snapshot) string {
	for _, p := range s.Pods {
		for i := range p.Containers {
			if strings.Contains(p.Containers[i].Image, "kubeovn/kube-ovn") {
				return "Kube-OVN's VPCs are networks of their own, in which addresses may be the same"
			}
		}
	}
	return ""
}

func findDuplicates(s *facts.Snapshot) []checks.Finding {
	live := map[string]bool{}
	for _, n := range s.LinuxNodes() {
		live[n.Name] = !silent(n)
	}
	holders := make(map[netip.Addr]*facts.Pod, len(s.Pods))
	shared := map[netip.Addr][]*facts.Pod{}
	for _, p := range s.Pods {
		if !live[p.Node] || !settled(s, p) {
			continue
		}
		for _, text := range p.IPs() {
			ip, err := netip.ParseAddr(text)
			if err != nil {
				continue
			}
			first := holders[ip]
			switch {
			case first == nil:
				holders[ip] = p
			case shared[ip] == nil:
				shared[ip] = []*facts.Pod{first, p}
			default:
				shared[ip] = append(shared[ip], p)
			}
		}
	}
	var out []checks.Finding
	for _, ip := range slices.SortedFunc(maps.Keys(shared), netip.Addr.Compare) {
		out = append(out, duplicates(s, ip, shared[ip])...)
	}
	return out
}

// settled tells whether a pod holds the address that it reports.
func settled(s *facts.Snapshot, p *facts.Pod) bool {
	return p.Ready && !p.HostNetwork && !p.Deleting && !p.Finished() && s.Taken.Sub(p.ReadySince.Time()) >= agreed
}

// duplicates tells of each pod, and leaves out one whose node's range is the only one that
// the address lies in: it has its own.
func duplicates(s *facts.Snapshot, ip netip.Addr, pods []*facts.Pod) []checks.Finding {
	rightful := rightfulHolder(s, ip, pods)
	var out []checks.Finding
	for _, p := range pods {
		if p == rightful {
			continue
		}
		f := checks.Finding{
			Subject:  p.Ref(),
			Message:  "has the address of another pod",
			Remedy:   "Look on the nodes which configuration sorts first in /etc/cni/net.d and whether their pod ranges differ, put that right, and delete the pod that has an address which is not its node's.",
			Evidence: []checks.Evidence{quotePod(s, p, ip)},
		}
		for _, o := range pods[:min(len(pods), maxQuoted)] {
			if o == p {
				continue
			}
			f.Evidence = append(f.Evidence, quotePod(s, o, ip))
			if id := clones(s.Node(p.Node), s.Node(o.Node)); id != "" {
				f.Message = "has the address of another pod, and their machines are clones with the same machine ID"
				f.Remedy = "Give each machine an ID of its own (on one of them: rm /etc/machine-id && systemd-machine-id-setup), restart it and the network plugin's pod there, and delete the pods with the same addresses."
				f.Evidence = append(f.Evidence, checks.Quote("Node "+p.Node+" and Node "+o.Node, "machineID: "+id))
			}
		}
		out = append(out, f)
	}
	return out
}

// clones returns the machine ID that two nodes have in common, or "". Weave Net, for one, makes the name
// of a node of it.
func clones(a, b *corev1.Node) string {
	if a == nil || b == nil || a == b || a.Status.NodeInfo.MachineID != b.Status.NodeInfo.MachineID {
		return ""
	}
	return a.Status.NodeInfo.MachineID
}

func rightfulHolder(s *facts.Snapshot, ip netip.Addr, pods []*facts.Pod) *facts.Pod {
	var found *facts.Pod
	for _, p := range pods {
		if !slices.ContainsFunc(facts.PodRanges(s.Node(p.Node)), func(r netip.Prefix) bool { return r.Contains(ip) }) {
			continue
		}
		if found != nil {
			return nil
		}
		found = p
	}
	return found
}

func quotePod(s *facts.Snapshot, p *facts.Pod, ip netip.Addr) checks.Evidence {
	return checks.Quote(p.Ref().String(), "podIP: "+ip.String()+"; on Node "+p.Node+", "+facts.QuotePodRanges(s.Node(p.Node)))
}
