package cni

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// ConfMissing finds nodes whose runtime reads another directory than the network plugin's agent writes
// to, or where nodes are looked at an empty one.
var ConfMissing = &checks.Check{
	ID:       "cni-conf-missing",
	Title:    "Runtimes find a configuration in the directory that they read",
	Severity: checks.Error,
	URL:      "https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.5.md#crionetwork-table",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets},
	MayUse:   []*facts.Source{facts.Files},
	Parts:    bareParts,
	Explains: []*checks.Check{node.NetworkNotReady},
	ByHand: []string{"kubectl describe node NODE", "kubectl -n NAMESPACE get daemonset DAEMONSET -o yaml | grep -A1 hostPath",
		"ls -l /etc/cni/net.d; grep -n conf_dir /etc/containerd/config.toml # on the node", "crio config | grep -A3 network_dir # on the node"},
	Run: findConfMissing,
	Doc: `The network plugin's agent writes its configuration into a directory of the node, usually /etc/cni/net.d, and the container runtime
looks for it in a directory of its own settings. If they are not the same, the agent is Ready, and the node has no network.

CRI-O names the directory in the node's condition, and the agent's DaemonSet names the directories of the node that it mounts: none of
them is that one, nor holds it. containerd does not name it. With --depth host its configuration is read, and what is in the directory: no file
that ends in .conf, .conflist or .json is as if it were empty.

**How it comes about**: a plugin's manifest for another distribution was applied (OpenShift and k3s have directories of their own), or conf_dir
of containerd or network_dir of CRI-O was changed. The file was deleted by hand or by a clean-up, and agents write it only when they start; Cilium
renamed it to end in .cilium_bak and was taken away; the agent waits for something before it writes it, and its log says for what.

**Cure**: set the plugin's directory to the runtime's in the manifest, or conf_dir (/etc/containerd/config.toml) or network_dir (/etc/crio/crio.conf.d) to
the plugin's, and restart the runtime. Where the file is gone, delete the plugin's pod on the node: the new one writes it.`,
}

// searched matches where CRI-O has found nothing (cri-o/ocicni).
var searched = regexp.MustCompile(`[Nn]o CNI configuration file in (/\S*?)\.? Has your network provider started`)

// dirless is a node whose runtime has no configuration.
type dirless struct {
	node  *corev1.Node
	dir   string // where its runtime looks
	files *seen  // what is there; nil where that is not known
}

// dirlessNodes returns the nodes without a configuration of which it is known where their
// runtimes look: by the node's files, or by the words of CRI-O.
func dirlessNodes(s *facts.Snapshot) []dirless {
	empty := emptyDirs(s)
	var out []dirless
	for _, n := range s.LinuxNodes() {
		trouble := facts.NetworkTrouble(n)
		if !facts.NoNetworkConfig(trouble) || s.Taken.Sub(facts.NodeReady(n).LastTransitionTime.Time) < grace {
			continue
		}
		if i := slices.IndexFunc(empty, func(c seen) bool { return c.node == n }); i >= 0 {
			out = append(out, dirless{n, empty[i].ConfDir, &empty[i]})
		} else if m := searched.FindStringSubmatch(trouble); m != nil {
			out = append(out, dirless{n, path.Clean(m[1]), nil})
		}
	}
	return out
}

func findConfMissing(s *facts.Snapshot) []checks.Finding {
	nodes := dirlessNodes(s)
	if len(nodes) == 0 {
		return nil
	}
	sets, has := writers(s), look(s).has
	var out []checks.Finding
	for _, n := range nodes {
		of, to := astray(sets[n.node.Name], n.dir)
		switch {
		case to != "":
			out = append(out, n.elsewhere(of, to))
		case n.files != nil:
			out = append(out, n.files.noFile(sets[n.node.Name], has))
		}
	}
	return out
}

func (n dirless) elsewhere(of set, to string) checks.Finding {
	setting := "network_dir of CRI-O"
	if n.files != nil && n.files.Name == "containerd" {
		setting = "conf_dir of containerd"
	}
	f := checks.Finding{
		Subject: facts.NodeRef(n.node.Name),
		Message: fmt.Sprintf("has no pod network: its runtime looks for a configuration in %s, and the agent of %s writes to %s", n.dir, of.plugin, to),
		Remedy:  fmt.Sprintf("Let the DaemonSet mount %s of the node in place of %s, or set %s to the latter and restart it.", n.dir, to, setting),
		Evidence: []checks.Evidence{checks.Quote("Node "+n.node.Name+", condition Ready", facts.NodeReady(n.node).Message),
			checks.Quote(of.ref().String()+", spec.template.spec.volumes", "hostPath: "+to)},
	}
	if n.files != nil {
		f.Evidence = append(f.Evidence, n.files.quoteDir())
	}
	return f
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
