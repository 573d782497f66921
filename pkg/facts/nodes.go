package facts

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// NodeReady returns the node's Ready condition, or nil where it has none yet.
func NodeReady(n *corev1.Node) *corev1.NodeCondition {
	i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	if i < 0 {
		return nil
	}
	return &n.Status.Conditions[i]
}

// joining is how long a node may take until it is Ready for the first time: the images of
// its network plugin are pulled meanwhile.
const joining = 3 * time.Minute

// Joining tells whether a node was made just now and has not been Ready yet.
func (s *Snapshot) Joining(n *corev1.Node) bool {
	const slack = 10 * time.Second // between the node and its first condition
	made, c := n.CreationTimestamp.Time, NodeReady(n)
	return s.Taken.Sub(made) < joining && (c == nil || c.Status != corev1.ConditionTrue && c.LastTransitionTime.Sub(made) < slack)
}

// Windows tells whether a node runs Windows, to which no Linux fact applies.
func Windows(n *corev1.Node) bool { return n.Status.NodeInfo.OperatingSystem == "windows" }

// Virtual tells whether a node is no machine (virtual-kubelet, Fargate): DaemonSets do
// not run there.
func Virtual(n *corev1.Node) bool {
	return n.Labels["type"] == "virtual-kubelet" || n.Labels["eks.amazonaws.com/compute-type"] == "fargate"
}

// ControlPlane tells whether a node is one of the control plane, as kubeadm and others label it.
func ControlPlane(n *corev1.Node) bool {
	_, is := n.Labels["node-role.kubernetes.io/control-plane"]
	_, was := n.Labels["node-role.kubernetes.io/master"]
	return is || was
}

// LinuxNodes returns the nodes that DaemonSets of the network stack are expected on.
func (s *Snapshot) LinuxNodes() []*corev1.Node {
	var out []*corev1.Node
	for _, n := range s.Nodes {
		if !Windows(n) && !Virtual(n) {
			out = append(out, n)
		}
	}
	return out
}

// DNSOutside says why cluster DNS is not a Service of this cluster, or "". GKE's Cloud
// DNS and similar answer on a link-local address of the node.
func (s *Snapshot) DNSOutside() string {
	for _, k := range s.Configz {
		for _, ip := range k.ClusterDNS {
			if a, err := netip.ParseAddr(ip); err != nil || !a.IsLinkLocalUnicast() {
				return ""
			}
		}
		if len(k.ClusterDNS) == 0 {
			return ""
		}
	}
	if len(s.Configz) == 0 {
		return ""
	}
	return "the kubelets hand out a link-local address: DNS is served on the nodes"
}

// PodRanges returns the pod ranges of a node, one for each family. What is no range is left
// out: the API server does not take it.
func PodRanges(n *corev1.Node) []netip.Prefix {
	given := n.Spec.PodCIDRs
	if len(given) == 0 && n.Spec.PodCIDR != "" {
		given = []string{n.Spec.PodCIDR}
	}
	var out []netip.Prefix
	for _, text := range given {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// QuotePodRanges writes the pod ranges of a node as its field holds them.
func QuotePodRanges(n *corev1.Node) string {
	var texts []string
	for _, p := range PodRanges(n) {
		texts = append(texts, p.String())
	}
	return "podCIDRs: " + strings.Join(texts, ", ")
}
