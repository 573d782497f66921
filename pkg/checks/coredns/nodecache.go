package coredns

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// cache is a pod of NodeLocal DNSCache.
type cache struct {
	pod       *facts.Pod
	container *facts.Container
	listens   []netip.Addr // its -localip
}

// caches returns the pods of NodeLocal DNSCache, those on their way out included.
func caches(s *facts.Snapshot) []cache {
	var out []cache
	for _, ns := range facts.SystemNamespaces() {
		for _, p := range s.PodsIn(ns) {
			if !nodeCache(p) || p.Finished() {
				continue
			}
			i := slices.IndexFunc(p.Containers, func(c facts.Container) bool { return strings.Contains(c.Image, "dns-node-cache") })
			c := cache{pod: p, container: &p.Containers[i]}
			for ip := range strings.SplitSeq(argument(c.container.Command, "localip"), ",") {
				if addr, err := netip.ParseAddr(strings.TrimSpace(ip)); err == nil {
					c.listens = append(c.listens, addr.Unmap())
				}
			}
			out = append(out, c)
		}
	}
	return out
}

// noCaches says why there is nothing to ask of the caches of nodes, or "".
func noCaches(s *facts.Snapshot) string {
	if len(caches(s)) == 0 {
		return "no pod of NodeLocal DNSCache is there"
	}
	return ""
}

// argument returns the value of a flag, in the forms that Go's package flag takes.
func argument(command []string, name string) string {
	for i, arg := range command {
		given, value, found := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case given != name || !strings.HasPrefix(arg, "-"):
		case found:
			return value
		case i+1 < len(command):
			return command[i+1]
		}
	}
	return ""
}

// config returns the ConfigMap that a cache's Corefile is made from and its text, or nil. It
// is the one of those mounted that has server blocks in it.
func (c cache) config(s *facts.Snapshot) (*corev1.ConfigMap, string) {
	for _, name := range c.pod.ConfigMaps {
		cm := s.ConfigMap(c.pod.Namespace, name)
		if cm == nil {
			continue
		}
		for _, key := range keysOf(cm) {
			if strings.HasPrefix(key, "Corefile") && strings.Contains(cm.Data[key], "forward") {
				return cm, cm.Data[key]
			}
		}
	}
	return nil, ""
}

// bound quotes where a cache listens.
func (c cache) bound() checks.Evidence {
	return checks.Quote(containerOf(owner(c.pod), c.container.Name), "-localip "+argument(c.container.Command, "localip"))
}

// dnsAddresses returns the addresses of the DNS Services, and whose each is.
func dnsAddresses(s *facts.Snapshot) map[netip.Addr]*corev1.Service {
	out := map[netip.Addr]*corev1.Service{}
	for _, svc := range s.DNSServices() {
		for _, ip := range facts.ClusterIPs(svc) {
			if addr, err := netip.ParseAddr(ip); err == nil {
				out[addr.Unmap()] = svc
			}
		}
	}
	return out
}

// ipvs is how kube-proxy is told to use mode ipvs, and where that stands.
type ipvs struct{ from, text string }

// ipvsNodes returns the nodes whose kube-proxy is started in mode ipvs.
func ipvsNodes(s *facts.Snapshot) map[string]ipvs {
	out := map[string]ipvs{}
	read := map[*corev1.ConfigMap]bool{}
	for _, p := range s.KubeProxyPods() {
		for i := range p.Containers {
			if mode := argument(p.Containers[i].Command, "proxy-mode"); mode == "ipvs" {
				out[p.Node] = ipvs{containerOf(owner(p), p.Containers[i].Name), "--proxy-mode=ipvs"}
			}
		}
		for _, name := range p.ConfigMaps {
			cm := s.ConfigMap(p.Namespace, name)
			if cm == nil {
				continue
			}
			if _, known := read[cm]; !known {
				read[cm] = saysIPVS(cm)
			}
			if read[cm] {
				out[p.Node] = ipvs{configRef(cm).String(), "mode: ipvs"}
			}
		}
	}
	return out
}

func saysIPVS(cm *corev1.ConfigMap) bool {
	for _, text := range cm.Data {
		var config struct{ Kind, Mode string }
		if yaml.Unmarshal([]byte(text), &config) == nil && config.Kind == "KubeProxyConfiguration" && config.Mode == "ipvs" {
			return true
		}
	}
	return false
}
