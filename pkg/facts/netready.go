package facts

import (
	"regexp"

	corev1 "k8s.io/api/core/v1"
)

// netNotReady is what a kubelet says while its runtime reports no network. Other
// troubles may stand around it (k8s.io/kubernetes pkg/kubelet/kubelet.go; before 1.15
// without "container").
var netNotReady = regexp.MustCompile(`runtime network not ready: NetworkReady=false reason:\S+ message:(.*)`)

// noNetConf is how the runtimes say that there is no usable configuration: containerd,
// CRI-O and dockershim, in this order.
var noNetConf = regexp.MustCompile(`cni plugin not initialized|[Nn]o CNI configuration file|cni config uninitialized`)

// NetworkTrouble returns the runtime's words on why a node has no pod network, or ""
// where its kubelet does not complain of that. Windows nodes and virtual ones have
// other networks.
func NetworkTrouble(n *corev1.Node) string {
	c := NodeReady(n)
	if c == nil || c.Status != corev1.ConditionFalse || Windows(n) || Virtual(n) {
		return ""
	}
	if m := netNotReady.FindStringSubmatch(c.Message); m != nil {
		return m[1]
	}
	return ""
}

// NoNetworkConfig tells whether the runtime's words mean that no plugin is configured
// on the node, and not that a plugin reports itself ill.
func NoNetworkConfig(trouble string) bool { return noNetConf.MatchString(trouble) }
