package cni

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

const (
	// grace is how long nodes may be without network before that is a finding.
	grace = time.Minute
	// shown is how many nodes are quoted.
	shown = 2
)

// NotInstalled finds clusters to which nobody gave a network plugin.
var NotInstalled = &checks.Check{
	ID:       "cni-not-installed",
	Title:    "A network plugin is installed",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/create-cluster-kubeadm/#pod-network",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets},
	MayUse:   []*facts.Source{facts.ConfigMaps},
	When:     bringsItsOwn,
	Explains: []*checks.Check{ConfMissing, node.NetworkNotReady},
	ByHand: []string{"kubectl get nodes", "kubectl get daemonsets -A", "kubectl -n kube-system get pods",
		"kubectl netdoctor plugins weave flannel calico cilium   # how to install them"},
	Run: findNotInstalled,
	Doc: `Kubernetes itself gives pods no network: a network plugin (CNI) does, and somebody has to install one.
Until then every node is not Ready, and CoreDNS stays Pending. After ` + "`kubeadm init`" + ` that is expected, and not a fault of
CoreDNS.

It is found where no DaemonSet and no pod of a known plugin exists, no node has a network, and at least one node's runtime
says that it has no configuration. Plugins that are installed on the nodes themselves have no DaemonSet, but then nodes are
Ready. Many old instructions apply a URL below cloud.weave.works, which has not answered since 2022: ` + "`kubectl apply`" + `
failed, and nothing was installed.

Cure: install exactly one. Its pod range must be the cluster's (` + "`podSubnet`" + ` in ConfigMap kube-system/kubeadm-config, or
--cluster-cidr of kube-controller-manager), and must not overlap with Services or machines. Flannel's manifest holds
10.244.0.0/16, Calico's custom-resources.yaml 192.168.0.0/16. **Flannel** is the least there is and enforces no
NetworkPolicy; **Calico** and **Cilium** do, and more; **Weave Net** is no longer maintained. Removing a plugin later needs
work on every node, so choose before pods run.`,
}

// bringsItsOwn names distributions whose plugin is part of the kubelet's own process,
// where neither DaemonSet nor pod shows it.
func bringsItsOwn(s *facts.Snapshot) string {
	for _, n := range s.Nodes {
		if v := n.Status.NodeInfo.KubeletVersion; strings.Contains(v, "+k3s") {
			return "k3s runs its network plugin inside its own process (Node " + n.Name + ", kubelet " + v + ")"
		}
	}
	return ""
}

func findNotInstalled(s *facts.Snapshot) []checks.Finding {
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind == plugins.Primary {
			return nil
		}
	}
	bare := bareNodes(s)
	if len(bare) == 0 {
		return nil
	}
	f := checks.Finding{
		Subject: facts.Cluster(),
		Message: "has no network plugin",
		Remedy: "Install exactly one network plugin with the cluster's pod range; a new cluster has none until you do. " +
			"The least is Flannel: " + plugins.Named("flannel").Install.Command,
	}
	for _, n := range bare[:min(len(bare), shown)] {
		f.Evidence = append(f.Evidence, checks.Quote("Node "+n.Name+", condition Ready", facts.NodeReady(n).Message))
	}
	f.Evidence = append(f.Evidence, checks.Quote("DaemonSets and pods", "none of a network plugin"), podRange(s))
	if half := plugins.Operators(s); len(half) > 0 {
		name, pod := half[0].Plugin.Name, half[0].Pods[0].Ref().String()
		f.Message = "has no network plugin: the operator of " + name + " has made no agents"
		f.Remedy = fmt.Sprintf("Create the resource that tells %s's operator what to install (for Calico custom-resources.yaml), or read its log if that exists: %s.", name, pod)
		f.Evidence = append(f.Evidence, checks.Quote(pod, "the operator of "+name))
		return []checks.Finding{f}
	}
	for _, p := range plugins.Installable() {
		f.Evidence = append(f.Evidence, checks.Quote("plugins.yaml, "+p.Name, p.Status.Text+" "+p.Install.Page))
	}
	return []checks.Finding{f}
}

// bareNodes returns the nodes whose runtime has no network configuration, or none
// where some node has a network: then a plugin is installed on the nodes themselves.
func bareNodes(s *facts.Snapshot) []*corev1.Node {
	var out []*corev1.Node
	for _, n := range s.LinuxNodes() {
		c := facts.NodeReady(n)
		if c == nil {
			continue
		}
		if c.Status == corev1.ConditionTrue {
			return nil
		}
		if facts.NoNetworkConfig(facts.NetworkTrouble(n)) && s.Taken.Sub(c.LastTransitionTime.Time) >= grace {
			out = append(out, n)
		}
	}
	return out
}

// podRange quotes what the cluster's pod range is, which every plugin must be told.
func podRange(s *facts.Snapshot) checks.Evidence {
	if cm := s.ConfigMap("kube-system", "kubeadm-config"); cm != nil {
		var config struct {
			Networking struct {
				PodSubnet string `json:"podSubnet"`
			} `json:"networking"`
		}
		if yaml.Unmarshal([]byte(cm.Data["ClusterConfiguration"]), &config) == nil && config.Networking.PodSubnet != "" {
			return checks.Quote("ConfigMap kube-system/kubeadm-config", "podSubnet: "+config.Networking.PodSubnet)
		}
	}
	for _, n := range s.Nodes {
		if n.Spec.PodCIDR != "" {
			return checks.Quote("Node "+n.Name, "podCIDR: "+n.Spec.PodCIDR+" (its share of the pod range)")
		}
	}
	return checks.Quote("Nodes", "none has a podCIDR: Flannel needs one (kubeadm init --pod-network-cidr)")
}
