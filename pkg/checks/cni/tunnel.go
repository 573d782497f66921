package cni

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// tunnel is what carries packets of pods from node to node.
type tunnel struct {
	plugin *plugins.Plugin
	kind   string // as the ports of plugins.yaml name it: VXLAN
	port   string // as they write it: "UDP 8472"
	quote  checks.Evidence
}

// opening says what a firewall must let through.
func (t *tunnel) opening() string {
	protocol, port, _ := strings.Cut(t.port, " ")
	if protocol == "IP" {
		return "IP protocol " + port
	}
	return protocol + " port " + port
}

// tunnelBetween returns the tunnel that leads from each of some nodes to the others, or nil
// where there is none, or it is not certain. It reads Nodes, Pods, DaemonSets and ConfigMaps.
func tunnelBetween(s *facts.Snapshot, nodes []*corev1.Node) *tunnel {
	var primary []plugins.Detected
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind == plugins.Primary {
			primary = append(primary, d)
		}
	}
	if len(primary) > 1 || len(nodes) == 0 {
		return nil
	}
	if len(primary) == 0 { // k3s has Flannel inside its own process
		return flannelTunnel(s, plugins.Named("flannel"), nodes)
	}
	of := primary[0].Plugin
	switch of.ID {
	case "flannel", "canal":
		return flannelTunnel(s, of, nodes)
	case "calico":
		return calicoTunnel(s, primary[0], nodes)
	case "cilium":
		return ciliumTunnel(s, of)
	case "antrea":
		return antreaTunnel(s, of)
	case "ovn-kubernetes":
		return tunnelOf(of, "Geneve", "", checks.Quote(of.Name, "wraps all packets between nodes in Geneve"))
	}
	return nil
}

// flannelTunnel goes by what Flannel writes at each node, and by its configuration, where
// that was read: a port of its own, or routes in place of the tunnel where nodes share a
// network.
func flannelTunnel(s *facts.Snapshot, of *plugins.Plugin, nodes []*corev1.Node) *tunnel {
	const note = "flannel.alpha.coreos.com/backend-type"
	backend := nodes[0].Annotations[note]
	for _, n := range nodes {
		if n.Annotations[note] != backend {
			return nil
		}
	}
	var config struct {
		Backend struct {
			Port, ListenPort int
			DirectRouting    bool
		}
	}
	for _, d := range plugins.Flannels(s) {
		for _, a := range agentConfigs(d) {
			if cm := s.ConfigMap(a.namespace, a.configMap); cm != nil {
				_ = json.Unmarshal([]byte(cm.Data["net-conf.json"]), &config) // what is no JSON is as good as absent
			}
		}
	}
	kind := map[string]string{"vxlan": "VXLAN", "wireguard": "WireGuard", "ipip": "IP-in-IP", "udp": "udp backend"}[backend]
	if kind == "" || config.Backend.DirectRouting {
		return nil
	}
	own := ""
	if port := cmp.Or(config.Backend.Port, config.Backend.ListenPort); port != 0 {
		own = fmt.Sprintf("UDP %d", port)
	}
	return tunnelOf(of, kind, own, checks.Quote("Node "+nodes[0].Name, note+": "+backend))
}

// calicoTunnel is certain where every packet between nodes is wrapped, or the nodes are in
// different networks: CrossSubnet, which the operator chooses, wraps no others.
func calicoTunnel(s *facts.Snapshot, d plugins.Detected, nodes []*corev1.Node) *tunnel {
	for _, k := range []struct{ note, kind, setting string }{
		{"projectcalico.org/IPv4VXLANTunnelAddr", "VXLAN", "CALICO_IPV4POOL_VXLAN"},
		{"projectcalico.org/IPv4IPIPTunnelAddr", "IP-in-IP", "CALICO_IPV4POOL_IPIP"},
	} {
		always := strings.EqualFold(environment(s, d, k.setting), "Always")
		for _, n := range nodes {
			if n.Annotations[k.note] == "" || n != nodes[0] && !always && sameSubnet(nodes[0], n) {
				k.kind = ""
			}
		}
		if k.kind != "" {
			return tunnelOf(d.Plugin, k.kind, "", checks.Quote("Node "+nodes[0].Name, k.note+": "+nodes[0].Annotations[k.note]))
		}
	}
	return nil
}

// environment returns the value that a plugin's DaemonSet gives a variable, or takes for it from
// a ConfigMap.
func environment(s *facts.Snapshot, d plugins.Detected, name string) string {
	for _, ds := range d.DaemonSets {
		for _, c := range ds.Spec.Template.Spec.Containers {
			for _, e := range c.Env {
				if e.Name != name {
					continue
				}
				if e.ValueFrom == nil || e.ValueFrom.ConfigMapKeyRef == nil {
					return e.Value
				}
				if cm := s.ConfigMap(ds.Namespace, e.ValueFrom.ConfigMapKeyRef.Name); cm != nil {
					return cm.Data[e.ValueFrom.ConfigMapKeyRef.Key]
				}
			}
		}
	}
	return ""
}

// sameSubnet tells whether Calico sees two nodes in one network, or may.
func sameSubnet(a, b *corev1.Node) bool {
	const note = "projectcalico.org/IPv4Address"
	x, errX := netip.ParsePrefix(a.Annotations[note])
	y, errY := netip.ParsePrefix(b.Annotations[note])
	return errX != nil || errY != nil || x.Masked() == y.Masked()
}

// ciliumTunnel goes by Cilium's ConfigMap (pkg/option and pkg/datapath/tunnel in its sources).
func ciliumTunnel(s *facts.Snapshot, of *plugins.Plugin) *tunnel {
	for _, cm := range s.ConfigMaps {
		if cm.Name != "cilium-config" || !facts.SystemNamespace(cm.Namespace) {
			continue
		}
		where := "ConfigMap " + cm.Namespace + "/" + cm.Name
		data := cm.Data
		older := data["tunnel"] // up to 1.13 one key said both
		mode, protocol := cmp.Or(data["routing-mode"], "tunnel"), cmp.Or(data["tunnel-protocol"], older, "vxlan")
		switch {
		case data["enable-ipsec"] == "true" || mode != "tunnel" || older == "disabled":
			return nil
		case data["enable-wireguard"] == "true":
			return tunnelOf(of, "WireGuard", "", checks.Quote(where, "enable-wireguard: true"))
		}
		own := ""
		if port := data["tunnel-port"]; port != "" && port != "0" {
			own = "UDP " + port
		}
		kind := map[string]string{"vxlan": "VXLAN", "geneve": "Geneve"}[protocol]
		return tunnelOf(of, kind, own, checks.Quote(where, "routing-mode: "+mode+", tunnel-protocol: "+protocol))
	}
	return nil
}

// antreaTunnel goes by the configuration of Antrea's agents, whose defaults are Geneve and to
// wrap everything.
func antreaTunnel(s *facts.Snapshot, of *plugins.Plugin) *tunnel {
	for _, cm := range s.ConfigMaps {
		if !strings.HasPrefix(cm.Name, "antrea-config") || !facts.SystemNamespace(cm.Namespace) {
			continue
		}
		var config struct {
			TrafficEncapMode      string `json:"trafficEncapMode"`
			TrafficEncryptionMode string `json:"trafficEncryptionMode"`
			TunnelType            string `json:"tunnelType"`
			TunnelPort            int    `json:"tunnelPort"`
		}
		if yaml.Unmarshal([]byte(cm.Data["antrea-agent.conf"]), &config) != nil || cmp.Or(config.TrafficEncapMode, "encap") != "encap" ||
			cmp.Or(config.TrafficEncryptionMode, "none") != "none" {
			return nil
		}
		own := ""
		if config.TunnelPort != 0 {
			own = fmt.Sprintf("UDP %d", config.TunnelPort)
		}
		protocol := cmp.Or(config.TunnelType, "geneve")
		kind := map[string]string{"vxlan": "VXLAN", "geneve": "Geneve"}[protocol]
		return tunnelOf(of, kind, own, checks.Quote("ConfigMap "+cm.Namespace+"/"+cm.Name, "tunnelType: "+protocol))
	}
	return nil
}

// tunnelOf makes a tunnel of a kind, by a port of its own or that of the catalogue; nil where
// neither is known.
func tunnelOf(of *plugins.Plugin, kind, own string, quote checks.Evidence) *tunnel {
	port := cmp.Or(own, of.Port(kind))
	if kind == "" || port == "" {
		return nil
	}
	return &tunnel{of, kind, port, quote}
}
