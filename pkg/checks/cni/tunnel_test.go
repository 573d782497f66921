package cni

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	calicoAgent = `{kind: Pod, metadata: {namespace: kube-system, name: cn, labels: {k8s-app: calico-node}, ownerReferences: [{kind: DaemonSet, name: calico-node, controller: true}]}, spec: {nodeName: a, hostNetwork: true, containers: [{name: c, image: quay.io/calico/node}]}}`
	calicoSet   = `{kind: DaemonSet, metadata: {namespace: kube-system, name: calico-node}, spec: {template: {spec: {containers: [{name: c, image: quay.io/calico/node, env: [{name: CALICO_IPV4POOL_VXLAN, value: %s}]}]}}}}`
	ciliumAgent = `{kind: Pod, metadata: {namespace: kube-system, name: ci, labels: {k8s-app: cilium}, ownerReferences: [{kind: DaemonSet, name: cilium, controller: true}]}, spec: {nodeName: a, hostNetwork: true, containers: [{name: c, image: quay.io/cilium/cilium}]}}`
	antreaAgent = `{kind: Pod, metadata: {namespace: kube-system, name: an, labels: {app: antrea, component: antrea-agent}, ownerReferences: [{kind: DaemonSet, name: antrea-agent, controller: true}]}, spec: {nodeName: a, hostNetwork: true, containers: [{name: c, image: antrea/antrea-agent-ubuntu}]}}`
	weaveAgent  = `{kind: Pod, metadata: {namespace: kube-system, name: we, labels: {name: weave-net}, ownerReferences: [{kind: DaemonSet, name: weave-net, controller: true}]}, spec: {nodeName: a, hostNetwork: true, containers: [{name: c, image: weaveworks/weave-kube}]}}`
	ovnAgent    = `{kind: Pod, metadata: {namespace: ovn-kubernetes, name: ov, labels: {app: ovnkube-node}, ownerReferences: [{kind: DaemonSet, name: ovnkube-node, controller: true}]}, spec: {nodeName: a, hostNetwork: true, containers: [{name: c, image: ovn-daemonset}]}}`
)

func notes(a, b string) string {
	return fmt.Sprintf("{kind: Node, metadata: {name: a, annotations: {%s}}}\n---\n{kind: Node, metadata: {name: b, annotations: {%s}}}", a, b)
}

func flannelOver(backend string) string { return "flannel.alpha.coreos.com/backend-type: " + backend }

func calicoOver(kind, address string) string {
	return fmt.Sprintf(`projectcalico.org/IPv4%sTunnelAddr: 10.244.0.1, projectcalico.org/IPv4Address: %s`, kind, address)
}

func ciliumSet(data string) string {
	return "{kind: ConfigMap, metadata: {namespace: kube-system, name: cilium-config}, data: {" + data + "}}"
}

func antreaSet(text string) string {
	return fmt.Sprintf("{kind: ConfigMap, metadata: {namespace: kube-system, name: antrea-config-x7}, data: {antrea-agent.conf: %q}}", text)
}

func TestTunnelBetween(t *testing.T) {
	plain := notes("", "")
	for _, tt := range []struct {
		name    string
		objects []string
		want    string
	}{
		{"flannel", []string{notes(flannelOver("vxlan"), flannelOver("vxlan"))}, "UDP port 8472 VXLAN"},
		{"flannel wireguard", []string{notes(flannelOver("wireguard"), flannelOver("wireguard"))}, "UDP port 51820 WireGuard"},
		{"flannel ipip", []string{notes(flannelOver("ipip"), flannelOver("ipip"))}, "IP protocol 4 IP-in-IP"},
		{"flannel udp", []string{notes(flannelOver("udp"), flannelOver("udp"))}, "UDP port 8285 udp backend"},
		{"flannel without one", []string{notes(flannelOver("host-gw"), flannelOver("host-gw"))}, ""},
		{"flannel on the way to another", []string{notes(flannelOver("vxlan"), flannelOver("wireguard"))}, ""},
		{"no plugin is seen", []string{plain}, ""},
		{"calico, different networks", []string{notes(calicoOver("VXLAN", "10.0.1.4/24"), calicoOver("VXLAN", "10.0.2.4/24")), calicoAgent}, "UDP port 4789 VXLAN"},
		{"calico, one network", []string{notes(calicoOver("VXLAN", "10.0.1.4/24"), calicoOver("VXLAN", "10.0.1.5/24")), calicoAgent}, ""},
		{"calico, one network, always", []string{notes(calicoOver("VXLAN", "10.0.1.4/24"), calicoOver("VXLAN", "10.0.1.5/24")), calicoAgent, fmt.Sprintf(calicoSet, "Always")}, "UDP port 4789 VXLAN"},
		{"calico, one network, across", []string{notes(calicoOver("VXLAN", "10.0.1.4/24"), calicoOver("VXLAN", "10.0.1.5/24")), calicoAgent, fmt.Sprintf(calicoSet, "CrossSubnet")}, ""},
		{"calico ipip", []string{notes(calicoOver("IPIP", "10.0.1.4/24"), calicoOver("IPIP", "10.0.2.4/24")), calicoAgent}, "IP protocol 4 IP-in-IP"},
		{"calico, no address", []string{notes(calicoOver("IPIP", "none"), calicoOver("IPIP", "none")), calicoAgent}, ""},
		{"calico, one node without", []string{notes(calicoOver("IPIP", "10.0.1.4/24"), ""), calicoAgent}, ""},
		{"cilium", []string{plain, ciliumAgent, ciliumSet("routing-mode: tunnel, tunnel-protocol: vxlan")}, "UDP port 8472 VXLAN"},
		{"cilium geneve on its own port", []string{plain, ciliumAgent, ciliumSet(`routing-mode: tunnel, tunnel-protocol: geneve, tunnel-port: "6082"`)}, "UDP port 6082 Geneve"},
		{"cilium routes", []string{plain, ciliumAgent, ciliumSet("routing-mode: native")}, ""},
		{"cilium before 1.14", []string{plain, ciliumAgent, ciliumSet("tunnel: geneve")}, "UDP port 6081 Geneve"},
		{"cilium before 1.14 routes", []string{plain, ciliumAgent, ciliumSet("tunnel: disabled")}, ""},
		{"cilium wireguard", []string{plain, ciliumAgent, ciliumSet(`routing-mode: tunnel, enable-wireguard: "true"`)}, "UDP port 51871 WireGuard"},
		{"cilium ipsec", []string{plain, ciliumAgent, ciliumSet(`routing-mode: tunnel, enable-ipsec: "true"`)}, ""},
		{"cilium of nonsense", []string{plain, ciliumAgent, ciliumSet("routing-mode: tunnel, tunnel-protocol: smoke")}, ""},
		{"cilium unread", []string{plain, ciliumAgent}, ""},
		{"antrea", []string{plain, antreaAgent, antreaSet("#tunnelType: geneve\n")}, "UDP port 6081 Geneve"},
		{"antrea vxlan on its own port", []string{plain, antreaAgent, antreaSet("tunnelType: vxlan\ntunnelPort: 4790\n")}, "UDP port 4790 VXLAN"},
		{"antrea routes", []string{plain, antreaAgent, antreaSet("trafficEncapMode: noEncap\n")}, ""},
		{"antrea encrypted", []string{plain, antreaAgent, antreaSet("trafficEncryptionMode: ipsec\n")}, ""},
		{"antrea of nonsense", []string{plain, antreaAgent, antreaSet("tunnelType: [")}, ""},
		{"ovn-kubernetes", []string{plain, ovnAgent}, "UDP port 6081 Geneve"},
		{"weave", []string{plain, weaveAgent}, ""},
		{"two plugins", []string{notes(flannelOver("vxlan"), flannelOver("vxlan")), ciliumAgent, weaveAgent}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := facts.LoadFiles([]facts.File{{Name: "objects.yaml", Data: []byte(strings.Join(tt.objects, "\n---\n"))}})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if tunnel := tunnelBetween(s, s.Nodes); tunnel != nil {
				got = tunnel.opening() + " " + tunnel.kind
				if tunnel.quote.From == "" || tunnel.quote.Text == "" {
					t.Errorf("nothing is quoted: %+v", tunnel)
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
