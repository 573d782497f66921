package cni

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// FlannelNet is the network that Flannel's agents are configured for, as a repair sees it.
type FlannelNet struct {
	ConfigMap *corev1.ConfigMap // nothing of it may be changed
	V4, V6    netip.Prefix      // the zero value where that family is not used
}

// FlannelNets returns the networks of Flannel's agents that take their ranges from the
// nodes.
func FlannelNets(s *facts.Snapshot) []FlannelNet {
	var out []FlannelNet
	for _, n := range flannelNets(s) {
		out = append(out, FlannelNet{n.cm, n.v4, n.v6})
	}
	return out
}

// AsksAPI tells whether a container of Flannel's takes its node's range from the API, by
// its command and arguments.
func AsksAPI(c *corev1.Container) bool { return asksAPI(c.Command) || asksAPI(c.Args) }

// AgentOn returns the agent of a primary network plugin on a node, if there is one alone.
func AgentOn(s *facts.Snapshot, node string) *facts.Pod {
	if agents := look(s).agents[node]; len(agents) == 1 {
		return agents[0]
	}
	return nil
}

// AgentWithProgram returns the agent that copies the program which the pods of a node lack
// when its pod is made anew, or nil.
func AgentWithProgram(s *facts.Snapshot, node string) *facts.Pod {
	nodes, net := byNode(s, noProgram)
	for _, pods := range nodes {
		if pods[0].pod.Node == node {
			return net.bringer(node, pods[0].words[0], pods[0].plugin)
		}
	}
	for _, c := range known(seenNodes(s)) {
		used := c.Used()
		if c.node.Name != node || used == nil {
			continue
		}
		gone, _ := c.lacks(used)
		for _, l := range gone {
			if a := look(s).bringer(node, l.program, ownerOf(l.program)); a != nil {
				return a
			}
		}
	}
	return nil
}

// AgentWithFile returns the file that the runtime of a node cannot load, or "" where none is
// known, and the agent that writes it when its pod is made anew, or nil.
func AgentWithFile(s *facts.Snapshot, node string) (file string, agent *facts.Pod) {
	for _, c := range known(seenNodes(s)) {
		if broken := c.Broken(); c.node.Name == node && broken != nil {
			a, _ := look(s).writer(node, broken)
			return broken.Path, a
		}
	}
	return "", nil
}

// MissingPlugin tells whether no primary network plugin and no operator of one is there.
func MissingPlugin(s *facts.Snapshot) (name string, missing bool) {
	for _, d := range append(plugins.Detect(s), plugins.Operators(s)...) {
		if d.Plugin.Kind == plugins.Primary {
			return d.Plugin.Name, false
		}
	}
	return "", true
}

// WritesElsewhere says where the agent of a node writes its configuration, and which
// directory the runtime reads in its place, or "".
func WritesElsewhere(s *facts.Snapshot, node string) string {
	for _, n := range dirlessNodes(s) {
		if of, to := astray(writers(s)[node], n.dir); n.node.Name == node && to != "" {
			return n.elsewhere(of, to).Message
		}
	}
	return ""
}
