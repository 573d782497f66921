package cni

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// BinaryMissing finds nodes on which a program that the network configuration names is not
// there.
var BinaryMissing = &checks.Check{
	ID:       "cni-binary-missing",
	Title:    "Nodes have the programs of their network plugin",
	Severity: checks.Error,
	URL:      "https://github.com/containernetworking/cni/blob/main/SPEC.md",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets, facts.ConfigMaps, facts.Files},
	Parts:    programParts,
	Explains: []*checks.Check{SandboxFailures, node.NetworkNotReady},
	ByHand: []string{"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
		"ls -l /opt/cni/bin # on the node", "cat /etc/cni/net.d/* # on the node: each type must be a program there"},
	Run: findBinaryMissing,
	Doc: `A network plugin is a program on each node, and its configuration may call further ones: Flannel calls bridge and
host-local, and most call portmap and loopback. The runtime looks for them in its own list of directories, usually
/opt/cni/bin. If one is not there the node stays Ready and its pods go on, but no new pod starts. CRI-O looks for them beforehand, passes
over a configuration that names one which is not there, and says that the node has no configuration.

It is found where the failure of a pod's sandbox says so. With --depth host the programs that the first configuration calls are compared with
those in the runtime's directories, before any pod fails: also what Flannel calls in turn, and what gives addresses. The program
loopback, which containerd calls beside the configuration unless it is told otherwise, is known from failures alone.

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
		bringer := net.bringer(pods[0].pod.Node, program, pods[0].plugin)
		f.Remedy = cureProgram(program, pods[0].plugin, dirs, bringer)
		if bringer != nil {
			withAgent(net, &f, pods[0].plugin)
		}
		out = append(out, f)
	}
	return lackingFiles(s, out)
}

// bringer returns the agent of a plugin on a node if it copies a program when its pod is
// made anew: its own, and none of the reference plugins'.
func (n network) bringer(node, program, plugin string) *facts.Pod {
	if plugin == "" || slices.Contains(reference, program) {
		return nil
	}
	return n.agent(node, plugin)
}
