package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// confKey is under what Flannel, kube-router and Multus keep the file that their agents copy to each
// node.
const confKey = "cni-conf.json"

// ConfInvalid finds configurations that no runtime can load: those that agents copy to the nodes, and
// where nodes are looked at those that are there.
var ConfInvalid = &checks.Check{
	ID:       "cni-conf-invalid",
	Title:    "Runtimes can load the network plugin's configuration",
	Severity: checks.Error,
	URL:      "https://github.com/containernetworking/cni/blob/main/SPEC.md#section-1-network-configuration-format",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.ConfigMaps},
	MayUse:   []*facts.Source{facts.DaemonSets, facts.Files},
	Parts:    cniParts,
	Explains: []*checks.Check{SandboxFailures, node.NetworkNotReady},
	ByHand: []string{`kubectl -n kube-flannel get configmap kube-flannel-cfg -o jsonpath='{.data.cni-conf\.json}' | jq .`,
		"jq . /etc/cni/net.d/* # on the node", "journalctl -u containerd | grep -i 'cni config' # on the node"},
	Run: findConfInvalid,
	Doc: `The container runtime takes the first file by name of its directory, usually /etc/cni/net.d, that ends in .conf, .conflist or
.json. containerd has no network at all where it cannot load that one, whatever stands behind it; CRI-O passes over it, and has none where
it can load none.

Flannel, kube-router and Multus keep the configuration of the nodes in a ConfigMap, under the key cni-conf.json, and an init container of
their agents copies it to each node. That shows what is wrong there. With --depth host the files of the nodes themselves are read, and what
they lack is told in the words of the library with which the runtimes read them (libcni). Without it a file that is broken on a node alone cannot
be seen: the runtime then says the same as if it had none, and **node-network-not-ready** tells it.

**How it comes about**: an edit left a comma too many or too few, or took name or type away; a write was cut off when the disk was full or the
machine went down; the file has a list of plugins and is copied to a name that ends in .conf, as an old manifest of Flannel did: only
.conflist may hold a list.

It is a warning where the node still works: a node has what was copied when its agent last started, and a runtime reads its files when it starts
and when one is written. A version of CNI that no plugin knows lets the runtime load the file, and each pod fail.

**Cure**: correct the ConfigMap, or the name to which the DaemonSet's init container copies it, and restart the DaemonSet. Where only a node's
file is broken, delete the plugin's pod there: the new one writes it anew. What no agent writes, correct or rename to end in .disabled.`,
}

// conf is a network configuration that agents copy to nodes.
type conf struct {
	plugin *plugins.Plugin
	cm     *corev1.ConfigMap
	target string // the path to which it is copied; empty where that is not known
	from   string // where that stands
	nodes  []string
}

func (c conf) ref() facts.Ref {
	return facts.Ref{Kind: "ConfigMap", Namespace: c.cm.Namespace, Name: c.cm.Name}
}

// confs returns the configurations of the ConfigMaps that agents mount, each once. It reads
// DaemonSets, Pods and ConfigMaps.
func confs(s *facts.Snapshot) []conf {
	var out []conf
	for _, d := range plugins.Detect(s) {
		seen := map[*corev1.ConfigMap]bool{}
		add := func(namespace, name, from string, commands func(func([]string) bool)) {
			cm := s.ConfigMap(namespace, name)
			if cm == nil || seen[cm] || cm.Data[confKey] == "" {
				return
			}
			seen[cm] = true
			c := conf{plugin: d.Plugin, cm: cm, from: from, target: target(commands)}
			for _, p := range d.Pods {
				c.nodes = append(c.nodes, p.Node)
			}
			out = append(out, c)
		}
		for _, ds := range d.DaemonSets {
			spec := &ds.Spec.Template.Spec
			for i := range spec.Volumes {
				if cm := spec.Volumes[i].ConfigMap; cm != nil {
					add(ds.Namespace, cm.Name, set{DaemonSet: ds}.ref().String(), initCommands(spec))
				}
			}
		}
		for _, p := range d.Pods {
			for _, name := range p.ConfigMaps {
				add(p.Namespace, name, p.Ref().String(), podInitCommands(p))
			}
		}
	}
	return out
}

func initCommands(spec *corev1.PodSpec) func(func([]string) bool) {
	return func(each func([]string) bool) {
		for i := range spec.InitContainers {
			if !each(slices.Concat(spec.InitContainers[i].Command, spec.InitContainers[i].Args)) {
				return
			}
		}
	}
}

func podInitCommands(p *facts.Pod) func(func([]string) bool) {
	return func(each func([]string) bool) {
		for i := range p.Containers {
			if p.Containers[i].Init && !each(p.Containers[i].Command) {
				return
			}
		}
	}
}

// confFile matches an argument that is a file from which runtimes load networks. Scripts, which may
// name several, are left alone.
var confFile = regexp.MustCompile(`^/\S*/net\.d/[^/\s]+\.(conf|conflist|json)$`)

// target returns the path to which the key is copied, where a command names both.
func target(commands func(func([]string) bool)) string {
	for words := range commands {
		source := slices.IndexFunc(words, func(w string) bool { return path.Base(w) == confKey })
		last := len(words) - 1
		if source >= 0 && source < last && confFile.MatchString(words[last]) {
			return words[last]
		}
	}
	return ""
}

// parse returns the types of the plugins that a configuration calls, or why no runtime loads it: as
// libcni does for lists and for single plugins.
func (c conf) parse() ([]string, error) {
	var raw struct {
		Name    *string
		Type    string
		Plugins []struct{ Type string }
	}
	if err := json.Unmarshal([]byte(c.cm.Data[confKey]), &raw); err != nil {
		return nil, fmt.Errorf("it is no valid JSON of that form: %w", err)
	}
	list := path.Ext(c.target) == ".conflist" || c.target == "" && raw.Type == ""
	if !list {
		switch {
		case raw.Type == "" && len(raw.Plugins) > 0:
			return nil, errors.New("it has a list of plugins, and only a file that ends in .conflist may hold one")
		case raw.Type == "":
			return nil, errors.New("it has no type")
		}
		return []string{raw.Type}, nil
	}
	if raw.Name == nil {
		return nil, errors.New("it has no name")
	}
	if len(raw.Plugins) == 0 {
		return nil, errors.New("it has no plugins")
	}
	var out []string
	for _, p := range raw.Plugins {
		if p.Type == "" {
			return nil, errors.New("one of its plugins has no type")
		}
		out = append(out, p.Type)
	}
	return out, nil
}

func findConfInvalid(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range confs(s) {
		_, err := c.parse()
		if err == nil {
			continue
		}
		f := checks.Finding{
			Subject:  c.ref(),
			Severity: checks.Warning,
			Message:  fmt.Sprintf("will leave nodes without network when agents start anew: runtimes cannot load its %s", confKey),
			Evidence: []checks.Evidence{checks.Quote(c.ref().String()+", "+confKey, err.Error())},
			Remedy:   "Correct it, and restart the DaemonSet of " + c.plugin.Name + ": its agents copy it to the nodes when they start.",
		}
		if c.target != "" {
			f.Evidence = append(f.Evidence, checks.Quote(c.from+", init container", "copies it to "+c.target))
		}
		for _, name := range c.nodes {
			if n := s.Node(name); n != nil && facts.NoNetworkConfig(facts.NetworkTrouble(n)) {
				f.Severity = checks.Error
				f.Message = "leaves nodes without network: runtimes cannot load its " + confKey
				f.Places = append(f.Places, facts.NodeRef(name))
			}
		}
		out = append(out, f)
	}
	return append(out, brokenFiles(s, out)...)
}
