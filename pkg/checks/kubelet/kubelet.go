// Package kubelet holds the checks of what the kubelets tell pods about DNS: which
// server to ask, and which servers CoreDNS itself asks.
package kubelet

import (
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Checks lists the package's checks.
func Checks() []*checks.Check {
	return []*checks.Check{ResolvConfMissing, ResolvConfLoopback, ClusterDNSMismatch, ClusterDNSEmpty, ClusterDomainMismatch, DNSLimits,
		DNSSkew, VersionSkew, CNIFlags, DefaultPods}
}

// configzParts names the live configuration of every kubelet as a part that must be
// known: each node may be set differently.
func configzParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range s.Nodes {
		if !facts.Virtual(n) {
			out = append(out, checks.Part{Source: facts.Configz, Key: n.Name})
		}
	}
	return out
}
