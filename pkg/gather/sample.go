package gather

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// In a large cluster not every kubelet and every pod of the network is asked: what is
// wrong with the stack shows in those in trouble, and what is wrong with a kind of node
// in any node of that kind. Options.AllNodes asks all.
const (
	// sickKubelets is small, since those of nodes that are not Ready mostly do not answer,
	// and each keeps a place busy until its time is over.
	sickKubelets, soundKubelets   = 20, 50
	sickLogPods, soundLogPods     = 40, 40
	sickProxyPods, soundProxyPods = 20, 20
)

// chosen is whom to ask, and of how many.
type chosen[T any] struct {
	asked []T
	left  []T // in trouble, and yet not asked
	of    int
}

// choose picks from a list: of those in trouble at most sick, of the others at most sound,
// in both cases one of each kind in turn.
func choose[T any](g *gatherer, all []T, sick, sound int, trouble func(T) bool, kind func(T) string) chosen[T] {
	if g.opts.AllNodes {
		return chosen[T]{asked: all, of: len(all)}
	}
	var ill, well []T
	for _, item := range all {
		if trouble(item) {
			ill = append(ill, item)
		} else {
			well = append(well, item)
		}
	}
	first, left := inTurn(ill, sick, kind)
	then, _ := inTurn(well, sound, kind)
	return chosen[T]{asked: append(first, then...), left: left, of: len(all)}
}

// inTurn takes one of each kind, then another of each, until it has as many as wanted.
// It returns the others as well. Within a kind the order stays.
func inTurn[T any](all []T, most int, kind func(T) string) (taken, left []T) {
	if len(all) <= most {
		return all, nil
	}
	byKind := map[string][]T{}
	for _, item := range all {
		byKind[kind(item)] = append(byKind[kind(item)], item)
	}
	kinds := slices.Sorted(maps.Keys(byKind))
	for len(taken) < most {
		for _, k := range kinds {
			if len(byKind[k]) > 0 && len(taken) < most {
				taken, byKind[k] = append(taken, byKind[k][0]), byKind[k][1:]
			}
		}
	}
	for _, k := range kinds {
		left = append(left, byKind[k]...)
	}
	return taken, left
}

// notAsked is why nothing is known of what is in trouble and was left out.
const notAsked = "not asked, since too many are in trouble; --all-nodes asks all"

func (g *gatherer) sampled(src *facts.Source, asked, of int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.Sampled(src, asked, of)
}

// machines returns the nodes that have a kubelet to ask, by name.
func machines(s *facts.Snapshot) []*corev1.Node {
	nodes := slices.DeleteFunc(slices.Clone(s.Nodes), facts.Virtual)
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

func notReady(p *facts.Pod) bool { return !p.Ready }

// kindOf names what tells nodes apart as far as their network goes: version, operating
// system, zone and roles.
func kindOf(n *corev1.Node) string {
	if n == nil {
		return ""
	}
	info := &n.Status.NodeInfo
	parts := []string{info.KubeletVersion, info.OSImage, info.Architecture, n.Labels[corev1.LabelTopologyZone]}
	for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
		if strings.HasPrefix(key, "node-role.kubernetes.io/") {
			parts = append(parts, key)
		}
	}
	return strings.Join(parts, "|")
}

// ailing tells whether a node, or a pod of the network on it, is in trouble.
func ailing(s *facts.Snapshot) func(*corev1.Node) bool {
	ill := map[string]bool{}
	for _, p := range plugins.Stack(s) {
		ill[p.Node] = ill[p.Node] || !p.Ready
	}
	return func(n *corev1.Node) bool {
		c := facts.NodeReady(n)
		return ill[n.Name] || c == nil || c.Status != corev1.ConditionTrue
	}
}

// podKind tells pods of the network apart: by what they are of, and by their node.
func podKind(s *facts.Snapshot) func(*facts.Pod) string {
	return func(p *facts.Pod) string {
		return cmp.Or(p.Owner.Path(), p.Name) + "|" + kindOf(s.Node(p.Node))
	}
}
