package gather

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// WellKnownConfigMaps lists the ConfigMaps, as "namespace/name", that hold the
// configuration of a network stack wherever they exist. They are read by name, so that
// nobody has to grant the reading of all ConfigMaps.
func WellKnownConfigMaps() []string {
	return []string{
		"kube-system/coredns", "kube-system/coredns-custom", "kube-system/kube-dns", "kube-system/node-local-dns",
		"kube-system/kube-proxy", "kube-system/kube-proxy-config", "kube-system/kubeadm-config", "kube-system/kubelet-config",
		"kube-system/cilium-config", "kube-system/calico-config", "kube-system/canal-config", "kube-system/kube-router-cfg",
		"kube-system/kubernetes-services-endpoint", "tigera-operator/kubernetes-services-endpoint", // Calico without kube-proxy
		"kube-system/weave-net", "kube-flannel/kube-flannel-cfg", "openshift-dns/dns-default",
	}
}

// readConfigMaps reads the well-known ConfigMaps and those that the stack's pods mount.
// One that exists and cannot be read makes a gap of the whole source: nothing could
// tell otherwise whether it is missing or hidden.
func (g *gatherer) readConfigMaps(ctx context.Context, s *facts.Snapshot) {
	if !g.wanted(facts.ConfigMaps) {
		return
	}
	names := map[string]bool{}
	for _, key := range WellKnownConfigMaps() {
		names[key] = true
	}
	for _, p := range plugins.Stack(s) {
		for _, cm := range p.ConfigMaps {
			names[p.Namespace+"/"+cm] = true
		}
	}
	g.mountedByTemplates(s, names)
	found, why := g.getConfigMaps(ctx, slices.Sorted(maps.Keys(names)))
	if why != "" {
		g.gap(facts.ConfigMaps, "", why)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, cm := range found {
		if g.opts.Record != nil {
			if err := g.opts.Record.Record(facts.ConfigMaps, cm); err != nil {
				g.b.Gap(facts.ConfigMaps, "", err.Error())
			}
		}
		if err := g.b.Add(cm); err != nil {
			g.b.Gap(facts.ConfigMaps, "", err.Error())
		}
	}
}

// mountedByTemplates adds what DNS and kube-proxy would mount if their pods existed.
func (g *gatherer) mountedByTemplates(s *facts.Snapshot, names map[string]bool) {
	add := func(namespace string, spec *corev1.PodSpec) {
		for _, v := range spec.Volumes {
			if v.ConfigMap != nil {
				names[namespace+"/"+v.ConfigMap.Name] = true
			}
		}
	}
	for _, d := range s.DNSDeployments() {
		add(d.Namespace, &d.Spec.Template.Spec)
	}
	for _, d := range slices.Concat(s.DNSDaemonSets(), s.KubeProxyDaemonSets()) {
		add(d.Namespace, &d.Spec.Template.Spec)
	}
}

// getConfigMaps returns those that exist, and why the first in the order of keys of
// those that could not be read was not.
func (g *gatherer) getConfigMaps(ctx context.Context, keys []string) (found []*corev1.ConfigMap, why string) {
	failed := map[string]string{}
	for _, key := range keys {
		g.start(func() {
			ns, name, _ := strings.Cut(key, "/")
			begin := time.Now()
			cm, err := g.client.CoreV1().ConfigMaps(ns).Get(ctx, name, metav1.GetOptions{})
			g.mu.Lock()
			defer g.mu.Unlock()
			g.answered(facts.ConfigMaps, begin, cm.Size())
			switch {
			case err == nil && cm.Name == name && cm.Namespace == ns:
				found = append(found, cm)
			case err == nil:
				failed[key] = "the server's answer is not the ConfigMap asked for"
			case !apierrors.IsNotFound(err):
				failed[key] = Reason(err)
			}
		})
	}
	g.wg.Wait()
	for _, key := range slices.Sorted(maps.Keys(failed)) {
		return found, key + ": " + failed[key]
	}
	return found, ""
}
