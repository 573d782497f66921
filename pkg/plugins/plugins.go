// Package plugins knows the network plugins of plugins.yaml and tells which of them a
// snapshot shows.
//
// A plugin is recognised by its DaemonSets or by its pods, so what is said of a
// cluster depends on two sources: a check that calls Detect declares DaemonSets and
// Pods. Agents reads Pods alone.
package plugins

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor"
)

// Kind says what a plugin is for.
type Kind string

// The kinds.
const (
	Primary Kind = "primary" // gives pods their addresses and routes
	Meta    Kind = "meta"    // calls another plugin, never stands alone
	Policy  Kind = "policy"  // only enforces NetworkPolicy
	Residue Kind = "residue" // what a container runtime's package leaves on nodes
)

// Plugin is one entry of plugins.yaml, which says what the fields mean.
type Plugin struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases"`
	Name    string   `json:"name"`
	Kind    Kind     `json:"kind"`

	DaemonSets []string `json:"daemonsets"`
	Labels     []string `json:"labels"`
	Images     []string `json:"images"`
	Operators  []string `json:"operators"`
	Files      []string `json:"files"`
	Binaries   []string `json:"binaries"`

	Status    Status  `json:"status"`
	Install   Install `json:"install"`
	Recommend bool    `json:"recommend"`

	UsesPodCIDR           bool     `json:"usesPodCIDR"`
	EnforcesNetworkPolicy string   `json:"enforcesNetworkPolicy"`
	Policies              string   `json:"policies"`
	ReplacesKubeProxy     string   `json:"replacesKubeProxy"`
	Ports                 []string `json:"ports"`

	labels            []map[string]string
	images, operators [][]*regexp.Regexp
}

// Status says whether a plugin is still cared for.
type Status struct {
	State string `json:"state"` // active or archived
	Text  string `json:"text"`
}

// Install says how to get a plugin.
type Install struct {
	Page     string   `json:"page"`
	Command  string   `json:"command"`
	Note     string   `json:"note"`
	Manifest Manifest `json:"manifest"`
}

// Manifest is the one manifest that a repair installs unless it is given another. Without
// a URL there is none; without a SHA256 its bytes can be compared with nothing.
type Manifest struct {
	URL     string `json:"url"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// catalogue parses the embedded file the first time it is asked for. A file that is
// not valid cannot be shipped: the package's test parses it.
var catalogue = sync.OnceValue(func() []Plugin {
	list, err := parse(netdoctor.Plugins)
	if err != nil {
		panic(err)
	}
	return list
})

// All returns the plugins in the order of the file. The caller must not change them.
func All() []Plugin { return catalogue() }

// Named returns the plugin with that id or alias, or nil.
func Named(id string) *Plugin {
	for i := range All() {
		if p := &All()[i]; p.ID == id || slices.Contains(p.Aliases, id) {
			return p
		}
	}
	return nil
}

// Installable returns the plugins to name to someone whose cluster has none.
func Installable() []*Plugin {
	var out []*Plugin
	for i := range All() {
		if p := &All()[i]; p.Recommend {
			out = append(out, p)
		}
	}
	return out
}

// Port returns the protocol and the port between nodes that serve a purpose, such as "UDP
// 8472" for VXLAN, or "".
func (p *Plugin) Port(purpose string) string {
	for _, entry := range p.Ports {
		words := strings.SplitN(entry, " ", 3)
		if len(words) == 3 && words[2] == purpose {
			return words[0] + " " + words[1]
		}
	}
	return ""
}

func parse(data []byte) ([]Plugin, error) {
	var file struct {
		Plugins []Plugin `json:"plugins"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		return nil, fmt.Errorf("plugins.yaml: %w", err)
	}
	for i := range file.Plugins {
		if err := file.Plugins[i].compile(); err != nil {
			return nil, fmt.Errorf("plugins.yaml: %s: %w", file.Plugins[i].ID, err)
		}
	}
	return file.Plugins, nil
}

func (p *Plugin) compile() error {
	for _, pattern := range p.DaemonSets {
		if _, err := path.Match(pattern, ""); err != nil || strings.Count(pattern, "/") != 1 {
			return fmt.Errorf("daemonset %q is not namespace/name", pattern)
		}
	}
	for _, entry := range p.Labels {
		set := map[string]string{}
		for pair := range strings.SplitSeq(entry, ",") {
			key, value, found := strings.Cut(pair, "=")
			if !found {
				return fmt.Errorf("label %q is not key=value", pair)
			}
			set[key] = value
		}
		p.labels = append(p.labels, set)
	}
	var err error
	if p.images, err = compileImages(p.Images); err != nil {
		return err
	}
	p.operators, err = compileImages(p.Operators)
	return err
}

// compileImages turns each entry into the expressions that must all occur in one pod.
func compileImages(entries []string) ([][]*regexp.Regexp, error) {
	var out [][]*regexp.Regexp
	for _, entry := range entries {
		var all []*regexp.Regexp
		for expr := range strings.SplitSeq(entry, " + ") {
			re, err := regexp.Compile(`(^|/)(?:` + expr + `)$`)
			if err != nil {
				return nil, fmt.Errorf("image: %w", err)
			}
			all = append(all, re)
		}
		out = append(out, all)
	}
	return out, nil
}
