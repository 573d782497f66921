package cni

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// BinaryMissing finds nodes on which a program that the network configuration names is not
// there.
var BinaryMissing = &checks.Check{
	ID:       "cni-binary-missing",
	Title:    "Nodes have the programs of their network plugin",
	Severity: checks.Error,
	URL:      "https://github.com/containernetworking/cni/blob/main/SPEC.md",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets},
	Explains: []*checks.Check{SandboxFailures},
	ByHand: []string{"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
		"ls -l /opt/cni/bin # on the node", "cat /etc/cni/net.d/* # on the node: each type must be a program there"},
	Run: findBinaryMissing,
	Doc: `A network plugin is a program on each node, and its configuration may call further ones: Flannel calls bridge and
host-local, and most call portmap and loopback. The runtime looks for them in its own list of directories, usually
/opt/cni/bin. If one is not there the node stays Ready and its pods go on, but no new pod starts.

**How it comes about**: an update of the operating system emptied or replaced the directory; the package kubernetes-cni (or
containernetworking-plugins) is not installed, and Flannel brings only its own program; the runtime's bin_dir is not the
directory to which the plugin's agent copies.

**Cure**: what belongs to the plugin itself, its agent copies again when its pod is made anew. The others come with the
release of containernetworking/plugins.`,
}

func findBinaryMissing(s *facts.Snapshot) []checks.Finding {
	nodes, net := byNode(s, noProgram)
	var out []checks.Finding
	for _, pods := range nodes {
		program, dirs := pods[0].words[0], strings.Fields(pods[0].words[1])
		f := onNode(pods, fmt.Sprintf("starts no new pod: the network plugin's program %q is not in %s", program, strings.Join(dirs, " or ")), "")
		dir := strings.Join(dirs[:min(len(dirs), 1)], "")
		owner := pods[0].plugin
		switch {
		case slices.Contains(reference, program):
			f.Remedy = fmt.Sprintf("Install the package kubernetes-cni on the node, or unpack the release of "+
				"github.com/containernetworking/plugins into %s: %s is one of its programs.", dir, program)
		case net.bringer(pods[0]) != nil:
			f.Remedy = fmt.Sprintf("Delete %s's pod on this node: the new one copies %s again. If it is still not found, "+
				"the runtime looks in another directory than the one to which the pod copies.", plugins.Named(owner).Name, program)
			withAgent(net, &f, owner)
		default:
			f.Remedy = fmt.Sprintf("Put the program %s into %s on the node, or take it out of the configuration in /etc/cni/net.d.", program, dir)
		}
		out = append(out, f)
	}
	return out
}

// bringer returns the agent of the plugin whose own program a pod lacks: it copies the
// program when its pod is made anew.
func (n network) bringer(p stuck) *facts.Pod {
	if p.plugin == "" || slices.Contains(reference, p.words[0]) {
		return nil
	}
	return n.agent(p.pod.Node, p.plugin)
}
