package cni

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// HostPort finds clusters and nodes on which the host ports that pods ask for are not opened.
var HostPort = &checks.Check{
	ID:       "hostport-portmap",
	Title:    "The host ports that pods ask for are opened",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/#support-hostport",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets, facts.ConfigMaps},
	Explains: []*checks.Check{SandboxFailures},
	ByHand: []string{"kubectl get pods -A -o jsonpath='{range .items[*]}{.metadata.namespace}/{.metadata.name} {.spec.containers[*].ports[*].hostPort}{\"\\n\"}{end}'",
		"kubectl get events -A --field-selector reason=FailedCreatePodSandBox", "grep -l portmap /etc/cni/net.d/* # on a node"},
	Run: findHostPort,
	Doc: `A container's hostPort is opened on its node by the network plugin, not by Kubernetes: the program portmap does it, if the
plugin's configuration calls it behind the plugin itself. It writes rules with iptables (or nftables).

**portmap fails**: the node has no iptables program, or its kernel lacks what that needs. Only pods with a hostPort fail, and
with each try some plugins use up one more address of the node (RKE2's known issues tell of Canal).

**portmap is not called**: kube-router's usual manifest, and old ones of Flannel, have a configuration without it. The pods run, and
nothing listens on the port. That is a hint, since nobody may need it. CRI-O opens host ports itself, and such nodes are left out; so are
plugins whose configuration is not in a ConfigMap.

**Cure**: install the package iptables on the node. Or add ` + "`{\"type\": \"portmap\", \"capabilities\": {\"portMappings\": true}}`" + ` to the
plugins of the configuration, restart the agents and make the pods anew.`,
}

func findHostPort(s *facts.Snapshot) []checks.Finding {
	nodes, _ := byNode(s, noHostPort)
	var out []checks.Finding
	for _, pods := range nodes {
		out = append(out, onNode(pods, "starts no pod that asks for a host port: portmap cannot write its rules",
			"Do what portmap says at the end of the event: usually install the package iptables on the node, or load the kernel modules that it needs."))
	}
	for _, c := range confs(s) {
		if f := unmapped(s, c); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// unmapped tells of pods whose host ports nobody opens, since the only plugin's configuration does
// not call portmap.
func unmapped(s *facts.Snapshot, c conf) *checks.Finding {
	list, err := c.parse()
	if err != nil || c.plugin.Kind != plugins.Primary || slices.Contains(list, "portmap") || !alone(s) {
		return nil
	}
	var asking []string
	for _, p := range s.Pods {
		if !p.HostNetwork && !p.Finished() && asksHostPort(p) && mapped(s.Node(p.Node)) {
			asking = append(asking, p.Namespace+"/"+p.Name)
		}
	}
	if len(asking) == 0 {
		return nil
	}
	more := ""
	if len(asking) > shown {
		more = ", …"
	}
	return &checks.Finding{
		Subject:  c.ref(),
		Severity: checks.Info,
		Message:  "does not call portmap: the host ports that pods ask for are not opened",
		Evidence: []checks.Evidence{checks.Quote(c.ref().String()+", "+confKey, "plugins: "+strings.Join(list, ", ")),
			checks.Quote("Pods with a hostPort", fmt.Sprintf("%d: %s%s", len(asking), strings.Join(asking[:min(len(asking), shown)], ", "), more))},
		Remedy: fmt.Sprintf(`Add {"type": "portmap", "capabilities": {"portMappings": true}} to the plugins in it, delete %s's file on the nodes where it `+
			"is not written anew, restart the agents, and make those pods anew; or take the hostPort out of them.", c.plugin.Name),
	}
}

func asksHostPort(p *facts.Pod) bool {
	return slices.ContainsFunc(p.Containers, func(c facts.Container) bool {
		return slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool { return port.HostPort != 0 })
	})
}

// mapped tells whether the runtime of a node leaves host ports to the network plugin.
func mapped(n *corev1.Node) bool {
	return n != nil && !facts.Windows(n) && strings.HasPrefix(n.Status.NodeInfo.ContainerRuntimeVersion, "containerd://")
}

// alone tells whether a single plugin gives pods their network.
func alone(s *facts.Snapshot) bool {
	count := 0
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind != plugins.Policy {
			count++
		}
	}
	return count == 1
}
