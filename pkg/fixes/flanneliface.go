package fixes

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// FlannelIface tells Flannel the interface by which the nodes reach each other.
var FlannelIface = &Fix{
	ID:     "flannel-iface",
	Title:  "Tell Flannel by which interface the nodes reach each other",
	For:    []*checks.Check{node.FlannelPublicIP},
	Risk:   Disrupts,
	Settle: proxySettles,
	Plan:   planFlannelIface,
	Doc: `Adds ` + "`--iface=NAME`" + ` to the arguments of Flannel's DaemonSet, or puts NAME in the place of the one that is there. NAME
is that of ` + "`--interface`" + `: which interface leads to the other nodes only you know, and every node must have it under that name. Flannel's
pods are replaced one after the other, and each writes the address of that interface at its node. While nodes are told in turn, traffic
between pods of different nodes may stop for moments.

It is refused without --interface, where the DaemonSet has several --iface or an --iface-regex, and where an annotation
public-ip-overwrite goes before it. It does not cure kubelets that go by the same address: --node-ip in their arguments does. The
DaemonSet of kubeadm clusters is nobody's; where Helm or an operator made it, the value must be set there too. "kubectl netdoctor undo"
takes the argument out again.`,
}

// ifaceName is a name that Linux gives interfaces.
var ifaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`)

func planFlannelIface(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	name := params.Interface
	if name == "" {
		return Plan{}, errors.New("by which interface the nodes reach each other is not known; name it with --interface NAME (ip -br addr on a node shows them)")
	}
	if _, err := netip.ParseAddr(name); err == nil || !ifaceName.MatchString(name) {
		return Plan{}, fmt.Errorf("--interface %q: not the name of a network interface", name)
	}
	if n := s.Node(f.Subject.Name); n != nil && overwritten(n) {
		return Plan{}, fmt.Errorf("an annotation public-ip-overwrite of %s goes before the interface; correct or remove it, and delete flannel's pod there", f.Subject)
	}
	d, i, err := flannelSet(s)
	if err != nil {
		return Plan{}, err
	}
	edited := d.DeepCopy()
	if err := setIface(&edited.Spec.Template.Spec.Containers[i], name); err != nil {
		return Plan{}, err
	}
	change, err := changeOf("DaemonSet", "apps/v1", d, edited)
	if err != nil {
		return Plan{}, err
	}
	return Plan{
		Changes: []Change{change}, Rollouts: []facts.Ref{setRef(d)},
		Warnings: []string{fmt.Sprintf("On a node that has no interface %s flannel does not start: it ends there, and the rollout stops.", name)},
	}, nil
}

func overwritten(n *corev1.Node) bool {
	for key := range n.Annotations {
		if strings.HasSuffix(key, "/public-ip-overwrite") || strings.HasSuffix(key, "/public-ipv6-overwrite") {
			return true
		}
	}
	return false
}

// flannelSet returns the DaemonSet of Flannel, and which of its containers is the agent.
func flannelSet(s *facts.Snapshot) (*appsv1.DaemonSet, int, error) {
	var sets []*appsv1.DaemonSet
	for _, d := range plugins.Flannels(s) {
		sets = append(sets, d.DaemonSets...)
	}
	if len(sets) != 1 {
		return nil, 0, fmt.Errorf("there are %d DaemonSets of Flannel; change the right one by hand", len(sets))
	}
	spec := &sets[0].Spec.Template.Spec
	for i := range spec.Containers {
		if cni.AsksAPI(&spec.Containers[i]) {
			return sets[0], i, nil
		}
	}
	return nil, 0, fmt.Errorf("no container of %s is an agent of Flannel that asks the API (--kube-subnet-mgr)", setRef(sets[0]))
}

// setIface names the interface in the list that holds the other arguments.
func setIface(c *corev1.Container, name string) error {
	want := "--iface=" + name
	var at []*string
	for _, list := range [][]string{c.Command, c.Args} {
		for i, arg := range list {
			word := strings.TrimLeft(arg, "-")
			switch {
			case !strings.HasPrefix(arg, "-"):
			case strings.HasPrefix(word, "iface-regex"), strings.HasPrefix(word, "iface-can-reach"), word == "iface":
				return fmt.Errorf("flannel is told its interface in another way already (%s); change that by hand", arg)
			case strings.HasPrefix(word, "iface="):
				at = append(at, &list[i])
			}
		}
	}
	switch {
	case len(at) > 1:
		return errors.New("flannel is told several interfaces already; change them by hand")
	case len(at) == 1 && *at[0] == want:
		return fmt.Errorf("flannel is told the interface %s already", name)
	case len(at) == 1:
		*at[0] = want
	case len(c.Args) > 0:
		c.Args = append(slices.Clip(c.Args), want)
	default:
		c.Command = append(slices.Clip(c.Command), want)
	}
	return nil
}
