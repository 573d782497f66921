package faults

import "context"

const (
	flannel     = "kube-flannel"
	flannelPods = "app=flannel"
	// netDir is where the runtime looks for configurations of network plugins,
	// and conflist is flannel's.
	netDir   = "/etc/cni/net.d"
	conflist = netDir + "/10-flannel.conflist"
)

func flannelSet() []string    { return []string{"-n", flannel, "daemonset", "kube-flannel-ds"} }
func flannelConfig() []string { return []string{"-n", flannel, "configmap", "kube-flannel-cfg"} }

// restartFlannel makes flannel's pod on a node anew. Its init containers put
// the plugin and its configuration in place.
func restartFlannel(ctx context.Context, lab Lab, node string) error {
	return recreate(ctx, lab, flannel, flannelPods, onNode(node))
}

// nodesWithoutNetwork is nil once no node has one.
func nodesWithoutNetwork(ctx context.Context, lab Lab) error { return each(ctx, lab, nodeNotReady) }
