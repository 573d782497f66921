package cni

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// ConfMissing finds nodes whose runtime reads another directory than the network plugin's agent writes
// to.
var ConfMissing = &checks.Check{
	ID:       "cni-conf-missing",
	Title:    "Runtimes read the directory to which the network plugin's agents write",
	Severity: checks.Error,
	URL:      "https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.5.md#crionetwork-table",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets},
	Explains: []*checks.Check{node.NetworkNotReady},
	ByHand: []string{"kubectl describe node NODE", "kubectl -n NAMESPACE get daemonset DAEMONSET -o yaml | grep -A1 hostPath",
		"crio config | grep -A3 network_dir # on the node"},
	Run: findConfMissing,
	Doc: `The network plugin's agent writes its configuration into a directory of the node, usually /etc/cni/net.d, and the container runtime
looks for it in a directory of its own settings. If they are not the same, the agent is Ready, and the node has no network.

CRI-O names the directory in the node's condition, and the agent's DaemonSet names the directories of the node that it mounts: none of
them is that one, nor holds it. containerd does not name it; there **node-network-not-ready** says what is known.

**How it comes about**: a plugin's manifest for another distribution was applied (OpenShift and k3s have directories of their own); or network_dir
in CRI-O's configuration was changed.

**Cure**: set the plugin's directory to the runtime's in the manifest, or network_dir (/etc/crio/crio.conf.d) to the plugin's, and restart CRI-O.`,
}

// searched matches where CRI-O has found nothing (cri-o/ocicni).
var searched = regexp.MustCompile(`[Nn]o CNI configuration file in (/\S*?)\.? Has your network provider started`)

func findConfMissing(s *facts.Snapshot) []checks.Finding {
	var waiting []*corev1.Node
	for _, n := range s.LinuxNodes() {
		if searched.MatchString(facts.NetworkTrouble(n)) && s.Taken.Sub(facts.NodeReady(n).LastTransitionTime.Time) >= grace {
			waiting = append(waiting, n)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	sets := writers(s)
	var out []checks.Finding
	for _, n := range waiting {
		dir := path.Clean(searched.FindStringSubmatch(facts.NetworkTrouble(n))[1])
		if of, to := astray(sets[n.Name], dir); to != "" {
			out = append(out, checks.Finding{
				Subject: facts.NodeRef(n.Name),
				Message: fmt.Sprintf("has no pod network: its runtime looks for a configuration in %s, and the agent of %s writes to %s", dir, of.plugin, to),
				Remedy:  fmt.Sprintf("Let the DaemonSet mount %s of the node in place of %s, or set network_dir of CRI-O to the latter and restart it.", dir, to),
				Evidence: []checks.Evidence{checks.Quote("Node "+n.Name+", condition Ready", facts.NodeReady(n).Message),
					checks.Quote(of.ref().String()+", spec.template.spec.volumes", "hostPath: "+to)},
			})
		}
	}
	return out
}

// astray returns a DaemonSet and the directory of the node to which it writes, where none of them writes
// to the one that the runtime reads.
func astray(sets []set, dir string) (of set, to string) {
	for _, d := range sets {
		for i := range d.Spec.Template.Spec.Volumes {
			host := d.Spec.Template.Spec.Volumes[i].HostPath
			if host == nil {
				continue
			}
			mounted := path.Clean(host.Path)
			if dir == mounted || mounted == "/" || strings.HasPrefix(dir, mounted+"/") {
				return set{}, ""
			}
			if path.Base(mounted) == "net.d" {
				of, to = d, mounted
			}
		}
	}
	return of, to
}

// writers returns, by node, the DaemonSets whose agents there are Ready, and so have written what they
// write.
func writers(s *facts.Snapshot) map[string][]set {
	out := map[string][]set{}
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind == plugins.Policy {
			continue
		}
		by := map[facts.Ref]set{}
		for _, ds := range d.DaemonSets {
			of := set{d.Plugin.Name, ds}
			by[of.ref()] = of
		}
		for _, p := range d.Pods {
			if of, known := by[p.Owner]; known && p.Ready && s.Taken.Sub(p.ReadySince.Time()) >= grace {
				out[p.Node] = append(out[p.Node], of)
			}
		}
	}
	return out
}
