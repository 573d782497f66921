package plugins_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// Clusters are written as their makers' manifests have them, cut to what counts.
func cluster(t *testing.T, objects ...string) *facts.Snapshot {
	t.Helper()
	s, err := facts.LoadFiles([]facts.File{{Name: "objects.yaml", Data: []byte(strings.Join(objects, "\n---\n"))}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// agent is a DaemonSet with one pod of it.
func agent(namespace, name, labels string, images ...string) string {
	return daemonSet(namespace, name, labels, images...) + "\n---\n" + pod(namespace, name+"-x7k2p", "DaemonSet "+name, labels, images...)
}

func daemonSet(namespace, name, labels string, images ...string) string {
	return fmt.Sprintf("{kind: DaemonSet, metadata: {namespace: %s, name: %s}, spec: {template: {metadata: {labels: {%s}}, spec: {hostNetwork: true, containers: [%s]}}}}",
		namespace, name, labels, containers(images))
}

// pod belongs to a controller "Kind name", or to none. The last image may carry
// arguments after a blank.
func pod(namespace, name, owner, labels string, images ...string) string {
	owners := ""
	if kind, of, found := strings.Cut(owner, " "); found {
		owners = fmt.Sprintf("{kind: %s, name: %s, controller: true}", kind, of)
	}
	return fmt.Sprintf("{kind: Pod, metadata: {namespace: %s, name: %s, labels: {%s}, ownerReferences: [%s]}, spec: {hostNetwork: true, containers: [%s]}, status: {phase: Running}}",
		namespace, name, labels, owners, containers(images))
}

func containers(images []string) string {
	var out []string
	for i, image := range images {
		image, args, _ := strings.Cut(image, " ")
		out = append(out, fmt.Sprintf("{name: c%d, image: %q, args: [%s]}", i, image, args))
	}
	return strings.Join(out, ", ")
}

func node(name, version, labels string) string {
	return fmt.Sprintf("{kind: Node, metadata: {name: %s, labels: {%s}}, status: {nodeInfo: {kubeletVersion: %s}}}", name, labels, version)
}

func configMap(namespace, name, key, value string) string {
	return fmt.Sprintf("{kind: ConfigMap, metadata: {namespace: %s, name: %s}, data: {%s: %q}}", namespace, name, key, value)
}

var ciliumAgent = agent("kube-system", "cilium", "k8s-app: cilium, app.kubernetes.io/name: cilium-agent", "quay.io/cilium/cilium:v1.18.1@sha256:ab12")

var clusters = []struct {
	name    string
	objects []string
	plugins []string // ids
	agents  int
	proxy   string // start of what ServiceProxy says
}{
	{"kubeadm without a plugin", []string{
		node("cp-0", "v1.37.2", ""),
		agent("kube-system", "kube-proxy", "k8s-app: kube-proxy", "registry.k8s.io/kube-proxy:v1.37.2"),
	}, nil, 0, ""},
	{"flannel", []string{
		agent("kube-flannel", "kube-flannel-ds", "app: flannel, tier: node", "ghcr.io/flannel-io/flannel:v0.28.9"),
	}, []string{"flannel"}, 1, ""},
	{"flannel renamed, from a mirror with a port", []string{
		agent("net", "pod-net", "team: infra", "mirror.corp:5000/hub/flannel-io/flannel:v0.27.0"),
	}, []string{"flannel"}, 1, ""},
	{"calico by manifest", []string{
		agent("kube-system", "calico-node", "k8s-app: calico-node", "quay.io/calico/node:v3.32.2"),
		pod("kube-system", "calico-kube-controllers-7d-abc", "ReplicaSet calico-kube-controllers-7d", "k8s-app: calico-kube-controllers", "quay.io/calico/kube-controllers:v3.32.2"),
	}, []string{"calico"}, 1, ""},
	{"calico by operator, one image for all, with Typha", []string{
		agent("calico-system", "calico-node", "k8s-app: calico-node", "quay.io/calico/calico:v3.33.0"),
		agent("calico-system", "csi-node-driver", "k8s-app: csi-node-driver", "quay.io/calico/csi:v3.33.0"),
		pod("calico-system", "calico-typha-55-qqq", "ReplicaSet calico-typha-55", "k8s-app: calico-typha", "quay.io/calico/calico:v3.33.0"),
		pod("tigera-operator", "tigera-operator-66-zzz", "ReplicaSet tigera-operator-66", "k8s-app: tigera-operator", "quay.io/tigera/operator:v1.42.0"),
	}, []string{"calico"}, 1, ""},
	{"calico with eBPF", []string{
		agent("calico-system", "calico-node", "k8s-app: calico-node", "quay.io/calico/node:v3.32.2"),
		configMap("tigera-operator", "kubernetes-services-endpoint", "KUBERNETES_SERVICE_HOST", "10.1.1.5"),
	}, []string{"calico"}, 1, "Calico replaces kube-proxy (ConfigMap tigera-operator/kubernetes-services-endpoint)"},
	{"canal", []string{
		agent("kube-system", "canal", "k8s-app: canal", "docker.io/calico/node:v3.30.0", "docker.io/flannel/flannel:v0.24.4"),
	}, []string{"canal"}, 1, ""},
	{"canal renamed", []string{
		agent("kube-system", "net", "team: infra", "docker.io/calico/node:v3.30.0", "docker.io/flannel/flannel:v0.24.4"),
	}, []string{"canal"}, 1, ""},
	{"RKE2 with canal", []string{
		node("srv1", "v1.33.4+rke2r1", ""),
		agent("kube-system", "rke2-canal", "k8s-app: canal", "rancher/hardened-calico:v3.30.2-build1", "rancher/hardened-flannel:v0.27.1-build1"),
	}, []string{"canal"}, 1, "RKE2 runs kube-proxy itself (Node srv1, kubelet v1.33.4+rke2r1)"},
	{"k3s", []string{node("k1", "v1.33.4+k3s1", "")}, nil, 0, "k3s runs kube-proxy inside its own process (Node k1"},
	{"MicroK8s", []string{node("m1", "v1.32.3", "microk8s.io/cluster: 'true'")}, nil, 0, "MicroK8s runs"},
	{"cilium that replaces kube-proxy", []string{
		ciliumAgent,
		agent("kube-system", "cilium-envoy", "k8s-app: cilium-envoy", "quay.io/cilium/cilium-envoy:v1.34"),
		pod("kube-system", "cilium-operator-8-k", "ReplicaSet cilium-operator-8", "io.cilium/app: operator", "quay.io/cilium/operator-generic:v1.18.1"),
		configMap("kube-system", "cilium-config", "kube-proxy-replacement", "true"),
	}, []string{"cilium"}, 1, "Cilium replaces kube-proxy (ConfigMap kube-system/cilium-config)"},
	{"cilium of old, strict", []string{ciliumAgent, configMap("kube-system", "cilium-config", "kube-proxy-replacement", "strict")},
		[]string{"cilium"}, 1, "Cilium replaces kube-proxy"},
	{"cilium beside kube-proxy", []string{ciliumAgent, configMap("kube-system", "cilium-config", "kube-proxy-replacement", "false")},
		[]string{"cilium"}, 1, ""},
	{"cilium's partial mode", []string{ciliumAgent, configMap("kube-system", "cilium-config", "kube-proxy-replacement", "partial")},
		[]string{"cilium"}, 1, ""},
	{"what cilium left behind under flannel", []string{
		agent("kube-flannel", "kube-flannel-ds", "app: flannel, tier: node", "ghcr.io/flannel-io/flannel:v0.28.9"),
		configMap("kube-system", "cilium-config", "kube-proxy-replacement", "true"),
	}, []string{"flannel"}, 1, ""},
	{"GKE Dataplane V2", []string{
		node("gke-a-1", "v1.33.2-gke.1240000", "cloud.google.com/gke-nodepool: a"),
		agent("kube-system", "anetd", "k8s-app: cilium", "gke.gcr.io/cilium/cilium:v1.15"),
	}, []string{"gke-dataplane-v2"}, 1, "GKE Dataplane V2 replaces kube-proxy (DaemonSet kube-system/anetd)"},
	{"kube-router without its service proxy", []string{
		agent("kube-system", "kube-router", "k8s-app: kube-router, tier: node", "docker.io/cloudnativelabs/kube-router:v2.6.0 --run-router=true, --run-service-proxy=false"),
	}, []string{"kube-router"}, 1, ""},
	{"kube-router with its service proxy", []string{
		agent("kube-system", "kube-router", "k8s-app: kube-router, tier: node", "docker.io/cloudnativelabs/kube-router:v2.6.0 --run-service-proxy=true"),
	}, []string{"kube-router"}, 1, "kube-router replaces kube-proxy (DaemonSet kube-system/kube-router)"},
	{"antrea with proxyAll", []string{
		agent("kube-system", "antrea-agent", "app: antrea, component: antrea-agent", "antrea/antrea-agent-ubuntu:v2.4.0"),
		pod("kube-system", "antrea-controller-1-a", "ReplicaSet antrea-controller-1", "app: antrea, component: antrea-controller", "antrea/antrea-controller-ubuntu:v2.4.0"),
		configMap("kube-system", "antrea-config", "antrea-agent.conf", "# proxyAll: false\nantreaProxy:\n  proxyAll: true\n"),
	}, []string{"antrea"}, 1, "Antrea replaces kube-proxy (ConfigMap kube-system/antrea-config)"},
	{"antrea with proxyAll commented out", []string{
		agent("kube-system", "antrea-agent", "app: antrea, component: antrea-agent", "antrea/antrea-agent-ubuntu:v2.4.0"),
		configMap("kube-system", "antrea-config-7bh2", "antrea-agent.conf", "antreaProxy:\n#  proxyAll: true\n"),
	}, []string{"antrea"}, 1, ""},
	{"kind", []string{
		agent("kube-system", "kindnet", "app: kindnet, k8s-app: kindnet, tier: node", "docker.io/kindest/kindnetd:v20250512-df8de77b"),
	}, []string{"kindnet"}, 1, ""},
	{"EKS", []string{
		agent("kube-system", "aws-node", "k8s-app: aws-node, app.kubernetes.io/name: aws-node", "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.23.1"),
	}, []string{"aws-vpc"}, 1, ""},
	{"AKS powered by Cilium", []string{
		agent("kube-system", "azure-cns", "k8s-app: azure-cns", "mcr.microsoft.com/containernetworking/azure-cns:v1.6.29"), ciliumAgent,
	}, []string{"cilium", "azure"}, 2, ""},
	{"OpenShift with OVN and Multus", []string{
		agent("openshift-ovn-kubernetes", "ovnkube-node", "app: ovnkube-node", "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0a1b"),
		agent("openshift-multus", "multus", "app: multus", "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0c2d"),
	}, []string{"ovn-kubernetes", "multus"}, 2, "OVN-Kubernetes replaces kube-proxy (DaemonSet openshift-ovn-kubernetes/ovnkube-node)"},
	{"OpenShift with another plugin", []string{
		agent("openshift-dns", "dns-default", "dns.operator.openshift.io/daemonset-dns: default", "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0e3f"),
	}, nil, 0, "OpenShift's network operator does kube-proxy's work"},
	{"Weave Net of old and of the fork", []string{
		agent("kube-system", "weave-net", "name: weave-net", "weaveworks/weave-kube:2.8.1", "weaveworks/weave-npc:2.8.1"),
		agent("legacy", "wv", "a: b", "docker.io/rajchaudhuri/weave-kube:2.9.0"),
	}, []string{"weave"}, 2, ""},
	{"a workload that is called like a plugin", []string{
		pod("default", "flannel-shop-77-a", "ReplicaSet flannel-shop-77", "app: flannel", "shop/flannel-shop:1"),
		pod("default", "calico", "Job calico", "k8s-app: calico-node", "quay.io/calico/node:v3.32.2"),
	}, nil, 0, ""},
}

func TestClusters(t *testing.T) {
	for _, c := range clusters {
		t.Run(c.name, func(t *testing.T) {
			s := cluster(t, c.objects...)
			check := func(s *facts.Snapshot, from string) {
				if got := ids(plugins.Detect(s)); !slices.Equal(got, c.plugins) {
					t.Errorf("Detect with %s = %v, want %v", from, got, c.plugins)
				}
				if got := plugins.ServiceProxy(s); c.proxy == "" && got != "" || !strings.HasPrefix(got, c.proxy) {
					t.Errorf("ServiceProxy with %s = %q, want %q", from, got, c.proxy)
				}
			}
			check(s, "both")
			check(s.Without(facts.Pods, "forbidden"), "DaemonSets alone")
			check(s.Without(facts.DaemonSets, "forbidden"), "Pods alone")
			if got := plugins.Agents(s); len(got) != c.agents {
				t.Errorf("Agents = %d, want %d", len(got), c.agents)
			}
			for _, p := range plugins.Agents(s) {
				if plugins.Agent(p) == nil {
					t.Errorf("Agent(%s) = nil", p.Ref())
				}
			}
		})
	}
}

func TestDetectedHoldsWhatWasSeen(t *testing.T) {
	d := plugins.Detect(cluster(t, ciliumAgent))
	if len(d) != 1 || len(d[0].DaemonSets) != 1 || len(d[0].Pods) != 1 || d[0].DaemonSets[0].Name != "cilium" {
		t.Errorf("Detect = %+v", d)
	}
	finished := strings.Replace(pod("kube-system", "cilium-old", "DaemonSet cilium", ""), "phase: Running", "phase: Failed", 1)
	if got := plugins.Agents(cluster(t, finished)); len(got) != 0 {
		t.Errorf("an evicted pod counts as agent: %v", got[0].Ref())
	}
}

func TestOperators(t *testing.T) {
	s := cluster(t,
		pod("tigera-operator", "tigera-operator-66-zzz", "ReplicaSet tigera-operator-66", "k8s-app: tigera-operator", "quay.io/tigera/operator:v1.42.0"),
		pod("cilium", "cilium-operator-8-k", "ReplicaSet cilium-operator-8", "a: b", "quay.io/cilium/operator-aws:v1.18.1"),
		pod("shop", "operator-1", "ReplicaSet operator", "a: b", "shop/operator:1"))
	if got := ids(plugins.Operators(s)); !slices.Equal(got, []string{"calico", "cilium"}) {
		t.Errorf("Operators = %v", got)
	}
}

func ids(list []plugins.Detected) []string {
	var out []string
	for _, d := range list {
		out = append(out, d.Plugin.ID)
	}
	return out
}
