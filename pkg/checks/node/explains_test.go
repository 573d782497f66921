package node_test

import (
	"slices"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

// What a node does not forward explains which kubelets its pods do not reach, and not that its
// own kubelet is not reached.
func TestForwardingExplainsKubelets(t *testing.T) {
	s := checktest.Load(t, "testdata/ip-forward-kubelets.txtar")
	for _, c := range []*checks.Check{node.IPForward, node.ForwardDrop} {
		var below, roots []string
		for _, n := range cause.Roots(s, checks.Run(s, []*checks.Check{c, traffic.PodToKubelet})) {
			if n.Check == traffic.PodToKubelet {
				roots = append(roots, n.Subject.Name)
			}
			for _, symptom := range n.Symptoms {
				below = append(below, symptom.Subject.Name)
			}
		}
		if !slices.Equal(below, []string{"bruno"}) || !slices.Equal(roots, []string{"cyril", "dita"}) {
			t.Errorf("%s: pod-to-kubelet of %q below it, of %q beside it", c.ID, below, roots)
		}
	}
}
