package cni

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// flannelNet is the network that flannel is configured for.
type flannelNet struct {
	cm     *corev1.ConfigMap
	v4, v6 netip.Prefix // the zero value where that family is not used
}

// flannelNets returns the networks of the ConfigMaps that agents mount which take their
// range from the node (flannel pkg/subnet).
func flannelNets(s *facts.Snapshot) []flannelNet {
	var out []flannelNet
	seen := map[*corev1.ConfigMap]bool{}
	for _, d := range plugins.Flannels(s) {
		for _, a := range agentConfigs(d) {
			cm := s.ConfigMap(a.namespace, a.configMap)
			if cm == nil || seen[cm] {
				continue
			}
			seen[cm] = true
			if n, ok := parseFlannelNet(cm); ok {
				out = append(out, n)
			}
		}
	}
	return out
}

type agentConfig struct{ namespace, configMap string }

// agentConfigs returns the ConfigMaps of agents that are told to ask the API for their
// range.
func agentConfigs(d plugins.Detected) []agentConfig {
	var out []agentConfig
	for _, ds := range d.DaemonSets {
		spec := &ds.Spec.Template.Spec
		if !slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return asksAPI(c.Command) || asksAPI(c.Args) }) {
			continue
		}
		for i := range spec.Volumes {
			if cm := spec.Volumes[i].ConfigMap; cm != nil {
				out = append(out, agentConfig{ds.Namespace, cm.Name})
			}
		}
	}
	for _, p := range d.Pods {
		if slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return asksAPI(c.Command) }) {
			for _, name := range p.ConfigMaps {
				out = append(out, agentConfig{p.Namespace, name})
			}
		}
	}
	return out
}

func asksAPI(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		return strings.HasPrefix(arg, "-") && name == "kube-subnet-mgr" && (!given || value != "false")
	})
}

func parseFlannelNet(cm *corev1.ConfigMap) (flannelNet, bool) {
	config := struct {
		EnableIPv4, EnableIPv6 bool
		Network, IPv6Network   string
	}{EnableIPv4: true}
	if err := json.Unmarshal([]byte(cm.Data["net-conf.json"]), &config); err != nil {
		return flannelNet{}, false
	}
	n := flannelNet{cm: cm}
	if p, err := netip.ParsePrefix(config.Network); err == nil && config.EnableIPv4 {
		n.v4 = p.Masked()
	}
	if p, err := netip.ParsePrefix(config.IPv6Network); err == nil && config.EnableIPv6 {
		n.v6 = p.Masked()
	}
	return n, n.v4.IsValid() || n.v6.IsValid()
}

// leavesOut tells whether a range belongs to a family that flannel is configured for, and
// lies outside the network, even in part.
func (n flannelNet) leavesOut(p netip.Prefix) bool {
	of := n.v6
	if p.Addr().Is4() {
		of = n.v4
	}
	return of.IsValid() && (of.Bits() > p.Bits() || !of.Contains(p.Addr()))
}

func (n flannelNet) ref() facts.Ref {
	return facts.Ref{Kind: "ConfigMap", Namespace: n.cm.Namespace, Name: n.cm.Name}
}
