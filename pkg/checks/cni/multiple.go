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

// Multiple finds clusters in which two network plugins give pods their addresses.
var Multiple = &checks.Check{
	ID:       "cni-multiple-installed",
	Title:    "One network plugin gives pods their addresses",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
	Needs:    []*facts.Source{facts.Pods},
	MayUse:   []*facts.Source{facts.DaemonSets, facts.ConfigMaps, facts.Nodes, facts.Files},
	Parts:    cniParts,
	ByHand:   []string{"kubectl get daemonsets -A", "ls /etc/cni/net.d # on a node: the first by name is used"},
	Run:      findMultiple,
	Doc: `Each network plugin writes a configuration to every node, and the runtime uses the first by name. Agents of two plugins
on the same node fight over that directory, over routes and over packet filter rules. Which one wins may change with a restart,
and pods of the two do not reach each other.

**How it comes about**: two sets of instructions were followed; kind or minikube brought a plugin, and another was installed; a
migration was left half done.

Pairs that are meant to work together are left out: Calico and Cilium on top of another plugin (CALICO_NETWORKING_BACKEND none,
cni-chaining-mode), what platforms combine, kube-router without its router, and Multus, which is no network by itself.

With --depth host it is also found where a node has configurations of two plugins that are installed, or of two while none shows in the cluster:
the agents need not run on the same nodes any more. A file of a plugin that is not installed while another one is, is left over:
**cni-conf-residue** tells it.

**Cure**: keep one. Delete the other's DaemonSet, then on every node its file in /etc/cni/net.d and its interfaces, and restart
the pods that it gave their addresses.`,
}

func findMultiple(s *facts.Snapshot) []checks.Finding {
	out := twoAgents(s)
	for _, f := range twoFiles(s) {
		if len(out) > 0 && out[0].Subject == facts.Cluster() {
			out[0].Evidence = append(out[0].Evidence, f.Evidence[:min(len(f.Evidence), shown)]...)
			return out // of all nodes the first is shown
		}
		out = append(out, f)
	}
	return out
}

// twoAgents tells of two plugins whose agents run on the same nodes.
func twoAgents(s *facts.Snapshot) []checks.Finding {
	var all []plugins.Detected
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind == plugins.Primary && len(d.Pods) > 0 && !restrained(s, d) {
			all = append(all, d)
		}
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if p, q := together(a, b); p != nil && !platform(a, b) {
				return []checks.Finding{{
					Subject: facts.Cluster(),
					Message: fmt.Sprintf("has two network plugins on the same nodes: %s and %s", a.Plugin.Name, b.Plugin.Name),
					Evidence: []checks.Evidence{checks.Quote(p.Ref().String(), "an agent of "+a.Plugin.Name+" on Node "+p.Node),
						checks.Quote(q.Ref().String(), "an agent of "+b.Plugin.Name+" on Node "+q.Node)},
					Remedy: "Keep one of them. Delete the other's DaemonSet and, on every node, its file in /etc/cni/net.d; then restart the pods that it gave their addresses.",
				}}
			}
		}
	}
	return nil
}

// twoFiles tells of nodes that hold configurations of two plugins.
func twoFiles(s *facts.Snapshot) []checks.Finding {
	all := known(seenNodes(s))
	if len(all) == 0 {
		return nil
	}
	has, detected := giving(s), plugins.Detect(s)
	var out []checks.Finding
	for i := range all {
		c := &all[i]
		first, second := c.twoMakers(has)
		if second == nil || platform(plugins.Detected{Plugin: first}, plugins.Detected{Plugin: second}) {
			continue
		}
		if slices.ContainsFunc(detected, func(d plugins.Detected) bool { return d.Plugin.Kind == plugins.Primary && !has[d.Plugin.ID] }) {
			continue // one of them is told to leave the addresses to another
		}
		f := checks.Finding{
			Subject: c.ref(),
			Message: fmt.Sprintf("holds configurations of two network plugins, %s and %s: which one is used depends on the names of the files", first.Name, second.Name),
			Remedy:  fmt.Sprintf("Keep one of them. Take the other's agents away and, on the node, its file in %s; then restart the pods that it gave their addresses.", c.ConfDir),
		}
		for j := range c.Confs {
			f.Evidence = append(f.Evidence, c.quote(c.Confs[j].Path, "calls "+typesOf(&c.Confs[j])))
		}
		out = append(out, f)
	}
	return out
}

// twoMakers returns the makers of two files that the runtime could use, where they are not of
// one plugin, and both installed or none at all.
func (c *seen) twoMakers(has map[string]bool) (first, second *plugins.Plugin) {
	for i := range c.Confs {
		of := slices.DeleteFunc(makers(&c.Confs[i]), func(p *plugins.Plugin) bool {
			return p.Kind != plugins.Primary || len(has) > 0 && !has[p.ID]
		})
		switch {
		case c.Confs[i].Err != nil || len(of) == 0 || slices.Contains(of, first):
		case first == nil:
			first = of[0]
		default:
			return first, of[0]
		}
	}
	return first, nil
}

// together returns an agent of each on the same node, or nil.
func together(a, b plugins.Detected) (*facts.Pod, *facts.Pod) {
	on := make(map[string]*facts.Pod, len(a.Pods))
	for _, p := range a.Pods {
		if p.Node != "" {
			on[p.Node] = p
		}
	}
	for _, q := range b.Pods {
		if p := on[q.Node]; p != nil {
			return p, q
		}
	}
	return nil, nil
}

// platform tells whether one of two is that of a cloud, on top of which others enforce policy.
func platform(a, b plugins.Detected) bool {
	cloud := func(d plugins.Detected) bool { return d.Plugin.ID == "azure" || d.Plugin.ID == "gke-dataplane-v2" }
	aws := a.Plugin.ID == "aws-vpc" || b.Plugin.ID == "aws-vpc"
	onTop := []string{"calico", "antrea"}
	return cloud(a) || cloud(b) || aws && (slices.Contains(onTop, a.Plugin.ID) || slices.Contains(onTop, b.Plugin.ID))
}

// restrained tells whether a plugin is told to leave the addresses to another one.
func restrained(s *facts.Snapshot, d plugins.Detected) bool {
	switch d.Plugin.ID {
	case "calico":
		return strings.EqualFold(environment(s, d, "CALICO_NETWORKING_BACKEND"), "none")
	case "cilium":
		return slices.ContainsFunc(s.ConfigMaps, func(cm *corev1.ConfigMap) bool {
			mode := cm.Data["cni-chaining-mode"]
			return cm.Name == "cilium-config" && mode != "" && mode != "none"
		})
	case "kube-router":
		return slices.ContainsFunc(d.Pods, func(p *facts.Pod) bool {
			return slices.ContainsFunc(p.Containers, func(c facts.Container) bool {
				return slices.Contains(c.Command, "--run-router=false")
			})
		})
	}
	return false
}
