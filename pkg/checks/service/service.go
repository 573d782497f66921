// Package service holds the checks for Services that lead nowhere, or astray, by what
// their own fields say and by what stands behind them: a selector that no pod has, a
// target port that no container has, endpoints that are none, pods that are not Ready.
package service

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Checks lists the package's checks.
func Checks() []*checks.Check {
	return []*checks.Check{
		SelectorMismatch, TargetPortMismatch, KubernetesBroken, PodsNotReady, TrafficPolicyLocal, Selectorless,
		LBPending, ExternalName, IPRange, NodePortRange, Family, Duplicate, ProtocolMismatch,
		Headless, ExternalIPs, EndpointsLegacy, Topology,
	}
}

// selecting returns the Services that pick pods by labels. Cluster DNS has checks of
// its own.
func selecting(s *facts.Snapshot) []*corev1.Service {
	dns := s.DNSServices()
	var out []*corev1.Service
	for _, svc := range s.Services {
		if len(svc.Spec.Selector) > 0 && svc.Spec.Type != corev1.ServiceTypeExternalName && svc.DeletionTimestamp == nil && !slices.Contains(dns, svc) {
			out = append(out, svc)
		}
	}
	return out
}
