package facts

import (
	"regexp"

	appsv1 "k8s.io/api/apps/v1"
)

var proxyImage = regexp.MustCompile(`(^|/)kube-proxy(-[a-z0-9]+)?(:|@|$)`)

// KubeProxyPods returns the pods of kube-proxy: those of its DaemonSet, or the static
// pods that GKE and kube-up run.
func (s *Snapshot) KubeProxyPods() []*Pod {
	var out []*Pod
	for _, p := range s.PodsIn("kube-system") {
		if p.Finished() {
			continue
		}
		labelled := p.Labels["k8s-app"] == "kube-proxy" || p.Labels["component"] == "kube-proxy"
		if labelled || len(p.Containers) > 0 && proxyImage.MatchString(p.Containers[0].Image) {
			out = append(out, p)
		}
	}
	return out
}

// KubeProxyDaemonSets returns the DaemonSets that run kube-proxy on Linux nodes.
func (s *Snapshot) KubeProxyDaemonSets() []*appsv1.DaemonSet {
	var out []*appsv1.DaemonSet
	for _, d := range s.DaemonSets {
		spec := &d.Spec.Template.Spec
		if d.Namespace == "kube-system" && len(spec.Containers) > 0 && proxyImage.MatchString(spec.Containers[0].Image) &&
			spec.NodeSelector["kubernetes.io/os"] != "windows" {
			out = append(out, d)
		}
	}
	return out
}
