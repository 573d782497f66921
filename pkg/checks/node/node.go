// Package node holds the checks of the nodes themselves: whether they have a pod
// network at all, and whether their addresses and those of their pods fit together.
package node

import "github.com/kubectl-netdoctor/netdoctor/pkg/checks"

// Checks lists the package's checks.
func Checks() []*checks.Check {
	return []*checks.Check{PodCIDROverlap, CIDROverlap, PodIPDuplicate, FlannelPublicIP, ConntrackPressure,
		NetworkUnavailable, Address, IPForward, ForwardDrop, BackendMixed, MTUMismatch, NMUnmanaged, NetworkNotReady}
}
