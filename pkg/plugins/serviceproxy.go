package plugins

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ServiceProxy says why nothing is wrong where no kube-proxy runs: what does its work
// ("Cilium replaces kube-proxy (ConfigMap kube-system/cilium-config)"), or "". It reads
// Nodes, Pods, DaemonSets and ConfigMaps. It does not look whether a kube-proxy runs
// nevertheless.
func ServiceProxy(s *facts.Snapshot) string {
	if why := embedded(s); why != "" {
		return why
	}
	for _, d := range Detect(s) {
		if why := replaces(s, d); why != "" {
			return why
		}
	}
	return openshift(s)
}

// ProxiesOn names what keeps the rules for Services on a node: its kube-proxy, the DaemonSets
// where it has none, and else the agents of network plugins, which may replace it. It reads
// Pods and DaemonSets.
func ProxiesOn(s *facts.Snapshot, node string) []facts.Ref {
	var out []facts.Ref
	for _, p := range s.KubeProxyPods() {
		if p.Node == node {
			out = append(out, p.Ref())
		}
	}
	if len(out) == 0 {
		for _, d := range s.KubeProxyDaemonSets() {
			out = append(out, facts.Ref{Kind: "DaemonSet", Namespace: d.Namespace, Name: d.Name})
		}
	}
	if len(out) == 0 {
		for _, p := range Agents(s) {
			if p.Node == node {
				out = append(out, p.Ref())
			}
		}
	}
	return out
}

// embedded recognises distributions that bring their own kube-proxy, by what their
// nodes say of themselves.
func embedded(s *facts.Snapshot) string {
	for _, n := range s.Nodes {
		version := n.Status.NodeInfo.KubeletVersion
		switch {
		case strings.Contains(version, "+k3s"):
			return fmt.Sprintf("k3s runs kube-proxy inside its own process (Node %s, kubelet %s)", n.Name, version)
		case strings.Contains(version, "+rke2"):
			return fmt.Sprintf("RKE2 runs kube-proxy itself (Node %s, kubelet %s)", n.Name, version)
		case n.Labels["microk8s.io/cluster"] == "true":
			return fmt.Sprintf("MicroK8s runs kube-proxy inside its own process (Node %s, label microk8s.io/cluster)", n.Name)
		}
	}
	return ""
}

func replaces(s *facts.Snapshot, d Detected) string {
	where := ""
	switch d.Plugin.ID {
	case "gke-dataplane-v2", "ovn-kubernetes":
		where = d.place()
	case "kube-router":
		if d.runsServiceProxy() {
			where = d.place()
		}
	case "cilium":
		where = configured(s, "cilium-config", func(data map[string]string) bool {
			// strict is what versions before 1.14 wrote for true; their partial and
			// probe left a part of the work to kube-proxy.
			value := data["kube-proxy-replacement"]
			return value == "true" || value == "strict"
		})
	case "antrea":
		where = configured(s, "antrea-config", proxyAll)
	case "calico":
		where = configured(s, "kubernetes-services-endpoint", func(data map[string]string) bool {
			return data["KUBERNETES_SERVICE_HOST"] != ""
		})
	}
	if where == "" {
		return ""
	}
	return fmt.Sprintf("%s replaces kube-proxy (%s)", d.Plugin.Name, where)
}

// place names where the plugin was seen.
func (d Detected) place() string {
	if len(d.DaemonSets) > 0 {
		return "DaemonSet " + d.DaemonSets[0].Namespace + "/" + d.DaemonSets[0].Name
	}
	if owner := d.Pods[0].Owner; owner.Kind != "" {
		return owner.String()
	}
	return d.Pods[0].Ref().String()
}

// runsServiceProxy reads kube-router's --run-service-proxy, which is true where it is
// not given (kube-router pkg/options).
func (d Detected) runsServiceProxy() bool {
	var args []string
	for _, ds := range d.DaemonSets {
		for _, c := range ds.Spec.Template.Spec.Containers {
			args = slices.Concat(args, c.Command, c.Args)
		}
	}
	for _, p := range d.Pods {
		for i := range p.Containers {
			args = append(args, p.Containers[i].Command...)
		}
	}
	for _, arg := range args {
		if value, found := strings.CutPrefix(arg, "--run-service-proxy="); found {
			on, err := strconv.ParseBool(value)
			return err == nil && on
		}
	}
	return true
}

// configured returns the first of a plugin's ConfigMaps with that name, or that name
// and a suffix (a hash of its content), that says so.
func configured(s *facts.Snapshot, name string, says func(map[string]string) bool) string {
	for _, cm := range s.ConfigMaps {
		if (cm.Name == name || strings.HasPrefix(cm.Name, name+"-")) && facts.SystemNamespace(cm.Namespace) && says(cm.Data) {
			return "ConfigMap " + cm.Namespace + "/" + cm.Name
		}
	}
	return ""
}

func proxyAll(data map[string]string) bool {
	var config struct {
		AntreaProxy struct {
			ProxyAll bool `json:"proxyAll"`
		} `json:"antreaProxy"`
	}
	return yaml.Unmarshal([]byte(data["antrea-agent.conf"]), &config) == nil && config.AntreaProxy.ProxyAll
}

// openshift recognises OpenShift by its DNS operator. Its network operator does the
// work of kube-proxy with whatever plugin is configured.
func openshift(s *facts.Snapshot) string {
	const label = "dns.operator.openshift.io/daemonset-dns"
	for _, d := range s.DaemonSets {
		if d.Namespace == "openshift-dns" && d.Spec.Template.Labels[label] != "" {
			return fmt.Sprintf("OpenShift's network operator does kube-proxy's work (DaemonSet %s/%s)", d.Namespace, d.Name)
		}
	}
	for _, p := range s.PodsIn("openshift-dns") {
		if p.Labels[label] != "" {
			return fmt.Sprintf("OpenShift's network operator does kube-proxy's work (%s)", p.Ref())
		}
	}
	return ""
}
