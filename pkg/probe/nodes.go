package probe

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// mostSampled is how many nodes try traffic where nobody names them: each tries every
// other one, and ten show which node, which direction or which zone fails.
const mostSampled = 10

// targets are the nodes to look at, why others cannot be, and how many there are that
// nobody asked for.
type targets struct {
	nodes   []*corev1.Node
	left    map[string]string
	unasked int
}

// why says in one line why nodes are left out.
func (t targets) why() string {
	var out []string
	for node, why := range t.left {
		out = append(out, node+": "+why)
	}
	slices.Sort(out)
	if len(out) > 3 {
		out = append(out[:3], "…")
	}
	return strings.Join(out, "; ")
}

// choose returns the nodes that can run a pod, of those that are named, or of all.
func choose(s *facts.Snapshot, named []string) (targets, error) {
	out := targets{left: map[string]string{}}
	for _, name := range named {
		if !slices.ContainsFunc(s.Nodes, func(n *corev1.Node) bool { return n.Name == name }) {
			return out, fmt.Errorf("--nodes %s: the cluster has no such node", name)
		}
	}
	for _, n := range s.Nodes {
		switch {
		case len(named) > 0 && !slices.Contains(named, n.Name):
			out.unasked++
		case facts.Windows(n):
			out.left[n.Name] = "it runs Windows, and the pods are for Linux"
		case facts.Virtual(n):
			out.left[n.Name] = "it is no machine"
		case silent(n):
			out.left[n.Name] = "its kubelet does not answer, so no pod starts there"
		case n.Labels[corev1.LabelHostname] == "":
			out.left[n.Name] = "it has no label " + corev1.LabelHostname + ", by which pods are spread"
		default:
			out.nodes = append(out.nodes, n)
		}
	}
	return out, nil
}

// silent tells whether nothing is heard of a node's kubelet.
func silent(n *corev1.Node) bool {
	c := facts.NodeReady(n)
	return c == nil || c.Status == corev1.ConditionUnknown
}

// sample takes at most mostSampled nodes, one of each kind first: by zone, operating
// system image, kernel and whether Ready. Nodes that were named are all taken.
func sample(nodes []*corev1.Node, named bool) []*corev1.Node {
	if named || len(nodes) <= mostSampled {
		return nodes
	}
	kinds := map[string][]*corev1.Node{}
	var order []string
	for _, n := range nodes {
		info := n.Status.NodeInfo
		kind := strings.Join([]string{string(facts.NodeReady(n).Status), n.Labels[corev1.LabelTopologyZone], info.OSImage, info.KernelVersion, info.ContainerRuntimeVersion}, "|")
		if kinds[kind] == nil {
			order = append(order, kind)
		}
		kinds[kind] = append(kinds[kind], n)
	}
	var out []*corev1.Node
	for round := 0; len(out) < mostSampled; round++ {
		for _, kind := range order {
			if round < len(kinds[kind]) && len(out) < mostSampled {
				out = append(out, kinds[kind][round])
			}
		}
	}
	return out
}

// local tells whether a name that a node sent can stand in a bundle.
func local(name string) bool {
	return strings.HasPrefix(name, "/") && path.Clean(name) == name && name != "/" && !strings.ContainsAny(name, "\x00\\") && len(name) < 512
}
