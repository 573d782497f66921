package cni

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
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
	Explains: []*checks.Check{SandboxFailures},
	ByHand: []string{"kubectl get events -A --field-selector reason=FailedCreatePodSandBox", "kubectl get daemonsets -A",
		"ls /etc/cni/net.d # on the node: the first by name is used"},
	Run: findResidue,
	Doc: `The container runtime takes the first file of /etc/cni/net.d by name that it can load. Deleting a plugin's DaemonSet
leaves its file on every node. If another plugin is installed then, the old file may sort first: 10-calico.conflist stands
before 10-flannel.conflist, 05-cilium.conflist before nearly all. The runtime goes on calling the old plugin, which has no
agent any more: the node is Ready, and no new pod starts on it.

It is found where the failure of a pod's sandbox names the program of a plugin of which the cluster has neither DaemonSet nor
pod, while it has another plugin.

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
	return out
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
