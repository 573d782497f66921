package node

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// noFlannel says why what flannel writes at the nodes counts for nothing, or "". k3s has it
// inside its own process; notes of it stay at nodes that have another plugin now.
func noFlannel(s *facts.Snapshot) string {
	if len(plugins.Flannels(s)) > 0 {
		return ""
	}
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind == plugins.Primary {
			return "the network plugin is " + d.Plugin.Name + " and not Flannel"
		}
	}
	if !slices.ContainsFunc(s.Nodes, func(n *corev1.Node) bool { return n.Annotations[flannelPrefix+"kube-subnet-manager"] == "true" }) {
		return "Flannel does not run here"
	}
	return ""
}

// flannelPrefix stands before the names of flannel's annotations, unless
// --kube-annotation-prefix says otherwise.
const flannelPrefix = "flannel.alpha.coreos.com/"
