// Package kubeproxy holds the checks for kube-proxy: that it, or something in its
// place, runs on every node, that its pods work, and that its configuration is one
// with which it starts.
package kubeproxy

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// grace is how long a pod may take to become Ready; a node gets three times that.
const grace = time.Minute

// Checks lists the package's checks, causes before what they explain.
func Checks() []*checks.Check {
	return []*checks.Check{ConfigInvalid, Kubeconfig, Hostname, RBAC, IPVSUnusable, NFTKernel, ClusterCIDR, ReplacementConflict, Bind,
		NodePort, LocalhostNodePort, IPVSExclude, ConfigStale, ModeMismatch, IPVSDeprecated, ModeUnset, VersionSkew, Tolerations, Missing,
		Ports, PodUnhealthy, SyncErrors, NotSynced, RulesMissing, RulesStale, SourceIPConntrack}
}

// silent tells whether nothing was heard from a node's kubelet, so that what the API
// says of its pods is old. That has a symptom of its own.
func silent(n *corev1.Node) bool {
	c := facts.NodeReady(n)
	return c != nil && c.Status == corev1.ConditionUnknown
}
