package cni

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// Residue finds nodes whose runtime calls a plugin that is not installed any more.
var Residue = &checks.Check{
	ID:       "cni-conf-residue",
	Title:    "Nodes use the network plugin that is installed",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events, facts.DaemonSets},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.Files},
	Parts:    cniParts,
	Explains: []*checks.Check{SandboxFailures, node.PodIPDuplicate, traffic.PodToPod},
	ByHand: []string{"kubectl get events -A --field-selector reason=FailedCreatePodSandBox", "kubectl get daemonsets -A",
		"kubectl get nodes -o custom-columns=NODE:.metadata.name,RANGE:.spec.podCIDR; kubectl get pods -A -o wide",
		"ls /etc/cni/net.d # on the node: the first by name is used"},
	Run: findResidue,
	Doc: `The container runtime takes the first file of /etc/cni/net.d by name that it can load. Deleting a plugin's DaemonSet
leaves its file on every node. If another plugin is installed then, the old file may sort first: 10-calico.conflist stands
before 10-flannel.conflist, 05-cilium.conflist before nearly all. The runtime goes on calling the old plugin, which has no
agent any more: the node is Ready, and no new pod starts on it.

It is found where the failure of a pod's sandbox names the program of a plugin of which the cluster has neither DaemonSet nor
pod, while it has another plugin.

What packages of container runtimes bring along is worse: 10-containerd-net.conflist, 87-podman.conflist and 100-crio-bridge.conf
connect pods to a bridge of the node alone. The pods run, and nobody on another node reaches them. It is found where Flannel, kube-router or
kindnet give each node a range, and Ready pods of a node have addresses that are not of it.

With --depth host the nodes' files are read: which one comes first is known then, before any pod fails. Multus's file, which is meant to come first, and
those that Cilium renamed to end in .cilium_bak are left out, and so are files that no plugin known here writes. A file of another plugin that comes
later is worth knowing: it takes over while the first one is gone.

Cure: on each such node delete the old plugin's files in /etc/cni/net.d, or rename them so that they end in .disabled. The
runtime watches the directory, and the pods that wait start with their next try; if not, restart the runtime. If the old plugin is the one that you want,
install it again and remove the other one.`,
}

func findResidue(s *facts.Snapshot) []checks.Finding {
	nodes, net := byNode(s, residue)
	have := names(net.has)
	var out []checks.Finding
	for _, pods := range nodes {
		left := plugins.Named(pods[0].plugin)
		f := onNode(pods,
			fmt.Sprintf("starts no new pod: its runtime still uses a configuration of %s, which is not installed; %s is", left.Name, have),
			fmt.Sprintf("On the node, delete what %s left in /etc/cni/net.d (%s), or rename it to end in .disabled: the first file by name is used.",
				left.Name, strings.Join(files(pods[0].program, left), ", ")))
		f.Evidence = append(f.Evidence, checks.Quote("DaemonSets and pods", "none of "+left.Name+", but of "+have))
		out = append(out, f)
	}
	return leftFiles(s, append(out, findStrangers(s)...))
}

// agreed is how long a pod must be Ready before its address counts: after a start of its node it reports
// the old one until it is started again.
const agreed = 2 * time.Minute

// findStrangers finds nodes whose pods have addresses that are not of the node's range, although the only
// plugin takes them from there.
func findStrangers(s *facts.Snapshot) []checks.Finding {
	var agents []*facts.Pod
	var plugin *plugins.Plugin
	for _, d := range plugins.Detect(s) {
		switch {
		case d.Plugin.Kind == plugins.Policy:
		case plugin != nil || !slices.Contains([]string{"flannel", "canal", "kube-router", "kindnet"}, d.Plugin.ID):
			return nil // Multus and a second plugin may give any address
		default:
			plugin, agents = d.Plugin, d.Pods
		}
	}
	var out []checks.Finding
	for _, a := range agents {
		n := s.Node(a.Node)
		if n == nil || !a.Ready || silent(n) || !ranged(plugin, n) {
			continue
		}
		var quotes []checks.Evidence
		count := 0
		for _, p := range s.PodsOn(n.Name) {
			if stranger(s, n, p) {
				count++
				quotes = append(quotes, checks.Quote(p.Ref().String(), "podIP: "+strings.Join(p.IPs(), ", ")))
			}
		}
		if count == 0 {
			continue
		}
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(n.Name),
			Message: fmt.Sprintf("has pods whose addresses are not of its range: they were connected by another configuration than %s's", plugin.Name),
			Remedy: fmt.Sprintf("On the node, see which file of /etc/cni/net.d sorts before %s, delete it (10-containerd-net.conflist, 87-podman*.conflist, "+
				"*-crio-bridge.*), and then delete those pods: new ones get addresses of the range.", strings.Join(plugin.Files, ", ")),
			Evidence: append(quotes[:min(count, shown)], checks.Quote("Node "+n.Name, fmt.Sprintf("%s; %d pods have other addresses", facts.QuotePodRanges(n), count))),
		})
	}
	return out
}

// ranged tells whether a plugin takes the addresses of a node's pods from its range: Flannel may be told to
// ask etcd, and kube-router by an annotation.
func ranged(plugin *plugins.Plugin, n *corev1.Node) bool {
	switch plugin.ID {
	case "flannel", "canal":
		return n.Annotations["flannel.alpha.coreos.com/kube-subnet-manager"] == "true"
	case "kube-router":
		return n.Annotations["kube-router.io/pod-cidr"] == "" && n.Annotations["kube-router.io/pod-cidrs"] == ""
	}
	return true
}

// stranger tells whether a pod has an address that is not of its node's range, in a family in which
// that has one.
func stranger(s *facts.Snapshot, n *corev1.Node, p *facts.Pod) bool {
	if !p.Ready || p.HostNetwork || p.Deleting || p.Finished() || s.Taken.Sub(p.ReadySince.Time()) < agreed || p.Created < facts.Stamp(n.CreationTimestamp.Unix()) {
		return false
	}
	ranges := facts.PodRanges(n)
	return slices.ContainsFunc(p.IPs(), func(text string) bool {
		ip, err := netip.ParseAddr(text)
		family := slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Addr().Is4() == ip.Unmap().Is4() })
		return err == nil && family && !slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(ip.Unmap()) })
	})
}

// files returns the names that the configuration which calls a program usually has.
func files(program string, left *plugins.Plugin) []string {
	var out []string
	for _, id := range owners(program) {
		out = append(out, plugins.Named(id).Files...)
	}
	if len(out) == 0 {
		return left.Files
	}
	return out
}

func names(ids map[string]bool) string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		out = append(out, plugins.Named(id).Name)
	}
	return strings.Join(out, " and ")
}
