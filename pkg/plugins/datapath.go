package plugins

import (
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// PastFirewall says why the packet filters of the nodes do not decide on what pods send each
// other, or "": some plugins forward it in programs that the kernel runs before its packet
// filters, or in a switch of their own. It reads Pods, DaemonSets and ConfigMaps.
func PastFirewall(s *facts.Snapshot) string {
	for _, d := range Detect(s) {
		bpf := d.Plugin.ID == "calico" && replaces(s, d) != ""
		if bpf || slices.Contains([]string{"cilium", "gke-dataplane-v2", "antrea", "ovn-kubernetes"}, d.Plugin.ID) {
			return d.Plugin.Name + " forwards packets of pods past the packet filters of the nodes"
		}
	}
	return ""
}

// SwitchesForwarding returns the plugin that switches the forwarding of packets on for
// interfaces of its own, and needs it for no other, or nil: Cilium and what is built on it,
// and OVN-Kubernetes, where OpenShift leaves ip_forward at 0 on purpose (ipForwarding:
// Restricted). It reads Pods and DaemonSets.
func SwitchesForwarding(s *facts.Snapshot) *Plugin {
	for _, d := range Detect(s) {
		if slices.Contains([]string{"cilium", "gke-dataplane-v2", "ovn-kubernetes"}, d.Plugin.ID) {
			return d.Plugin
		}
	}
	return nil
}
