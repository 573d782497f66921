// Package coredns holds the checks of the cluster's DNS server and of the Service in
// front of it. A finding here explains why names do not resolve.
package coredns

import "github.com/kubectl-netdoctor/netdoctor/pkg/checks"

// Checks lists the package's checks.
func Checks() []*checks.Check {
	return []*checks.Check{ZoneMismatch, CustomConfig, UpstreamSelf, Loop, CorefileError, SELinuxDocker, RBAC, Pending,
		OOM, PortBind, ConfigMapKey, ImagePull, Readiness, Liveness, APIUnreachable, DNSPolicy, NotSpread,
		DeploymentMissing, ServiceMissing, ServiceSelector, ServicePorts,
		ReloadFailed, UpstreamFailing, MaxConcurrent, ServiceType, NodeLocalUnhealthy,
		CorefileRemoved, LoopPluginMissing, ReloadPluginMissing, LogEnabled, MetricsBind,
		Version, SingleReplica, PodsMode, BackupDrift, MemorySize, LegacyKubeDNS,
		NodeLocalClusterDNS, NodeLocalUpstream,
		NameShadowed, CPU, ServfailRate, NXDomainRatio, Latency, Cache, Panics,
		NotSynced, PodAnswers, PodOutside, Reverse}
}
