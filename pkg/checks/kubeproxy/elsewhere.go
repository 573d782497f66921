package kubeproxy

import (
	"regexp"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// redirect is how a shell is told to write a program's output into a file: the static pods of
// GKE and kube-up do that (k8s.io/kubernetes, cluster/gce/manifests/kube-proxy.manifest).
var redirect = regexp.MustCompile(`[^-]>>?\s*/\S`)

// mute tells whether a pod's log stays empty, because it goes into a file of the node.
func mute(p *facts.Pod) bool {
	return slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return slices.ContainsFunc(c.Command, redirect.MatchString) })
}

// noLogs says why the logs of kube-proxy can tell nothing, or "".
func noLogs(s *facts.Snapshot) string {
	if why := noPods(s); why != "" {
		return why
	}
	if !slices.ContainsFunc(s.KubeProxyPods(), func(p *facts.Pod) bool { return !mute(p) }) {
		return "kube-proxy writes its log into a file of its node"
	}
	return ""
}

// logParts names the logs of pods as parts that must be known.
func logParts(pods []*facts.Pod) []checks.Part {
	silent := map[string]bool{}
	for _, p := range pods {
		silent[p.Ref().Key()] = mute(p)
	}
	parts := checks.PodLogs(pods)
	for i := range parts {
		if silent[parts[i].Key] {
			parts[i].Lacks = "it is written into a file of the node"
		}
	}
	return parts
}
