// Package cni holds the checks of the network plugins, the agents that give pods their
// addresses and carry their packets.
package cni

import "github.com/kubectl-netdoctor/netdoctor/pkg/checks"

// Checks lists the package's checks, causes before what they explain.
func Checks() []*checks.Check {
	return []*checks.Check{NotInstalled, Multiple, Residue, RuntimeDeprecated, BinaryMissing, ConfInvalid, Exhausted, BridgeTaken,
		PodCIDRMissing, PodCIDRMismatch, BrNetfilter, OverlayBlocked,
		AgentMissing, CalicoNotReady, AgentUnhealthy, ConfMissing, SubnetEnvMissing, NodenameMissing, WeaveDown, CiliumNotReady, MultusDelegate, HostPort,
		SandboxFailures, WeaveUnsupported}
}
