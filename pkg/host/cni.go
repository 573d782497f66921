package host

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	corev1 "k8s.io/api/core/v1"
)

// CNI is what a node's container runtime finds of network plugins.
type CNI struct {
	Runtime
	Entries []Entry // everything in the directory of the configurations
	Confs   []Conf  // what of it the runtime looks at, by name

	programs map[string][]Entry // by directory
	unlisted map[string]string  // why a directory of programs is not known
}

// Conf is a file from which a runtime may load a network.
type Conf struct {
	Path    string
	Err     error        // why no runtime loads it, in the words of the library that they use (libcni)
	Network string       // its name
	Version string       // of CNI, that it asks for
	Plugins []ConfPlugin // what it calls, in this order

	// Open tells that further plugins may stand in a directory of the network's name, which
	// is not looked at (libcni, loadOnlyInlinedPlugins).
	Open bool
}

// ConfPlugin is one plugin that a configuration calls.
type ConfPlugin struct {
	Type string // the program's name
	Raw  []byte // its part of the configuration, valid JSON
}

// CNI returns what the node's runtime finds. Unknown of it says why that is not known:
// then nothing else of it counts. A directory of programs that is not known hinders no
// more than the question for them.
func (v View) CNI(n *corev1.Node) CNI {
	c := CNI{Runtime: v.Runtime(n), programs: map[string][]Entry{}, unlisted: map[string]string{}}
	if c.Unknown != "" {
		return c
	}
	c.Entries, c.Unknown = v.Dir(c.ConfDir)
	for _, e := range c.Entries {
		if e.Type == 'd' || !loadable(e.Name) {
			continue
		}
		file := path.Join(c.ConfDir, e.Name)
		text, found := v.Read(file)
		if !found {
			c.lacks(file, v.Unknown(file))
			if c.Unknown == "" {
				c.Unknown = file + ": was listed and is not there" // it went while the node was looked at
			}
			return c
		}
		c.Confs = append(c.Confs, c.parse(file, text))
	}
	for _, dir := range c.BinDirs {
		entries, why := v.Dir(dir)
		c.programs[dir] = entries
		if why != "" {
			c.unlisted[dir] = why
		}
	}
	return c
}

// loadable tells whether runtimes look at a file of that name (containerd/go-cni, cri-o/ocicni).
func loadable(name string) bool {
	return slices.Contains([]string{".conf", ".conflist", ".json"}, path.Ext(name))
}

// parse reads a configuration as the runtimes do: only a file that ends in .conflist holds
// a list.
func (c *CNI) parse(file, text string) Conf {
	out := Conf{Path: file}
	var list *libcni.NetworkConfigList
	if strings.HasSuffix(file, ".conflist") {
		list, out.Err = libcni.NetworkConfFromBytes([]byte(text))
	} else {
		var single *libcni.PluginConfig
		if single, out.Err = libcni.NetworkPluginConfFromBytes([]byte(text)); out.Err == nil {
			list, out.Err = libcni.ConfListFromConf(single) //nolint:staticcheck // runtimes still take such files, and nothing else reads them as they do
		}
	}
	if out.Err != nil {
		return out
	}
	out.Network, out.Version = list.Name, list.CNIVersion
	for _, p := range list.Plugins {
		out.Plugins = append(out.Plugins, ConfPlugin{Type: p.Network.Type, Raw: p.Bytes})
	}
	out.Open = !list.LoadOnlyInlinedPlugins && slices.ContainsFunc(c.Entries, func(e Entry) bool {
		return e.Type != '-' && e.Name == list.Name
	})
	if len(out.Plugins) == 0 && !out.Open {
		out.Err = errors.New("no plugin configs found")
	}
	return out
}

// Broken returns the file over which the runtime has no network, since it cannot load it,
// or nil.
func (c *CNI) Broken() *Conf {
	bad := slices.IndexFunc(c.looksAt(), func(f Conf) bool { return f.Err != nil })
	good := slices.ContainsFunc(c.Confs, func(f Conf) bool { return f.Err == nil })
	if bad < 0 || c.Skips && good {
		return nil
	}
	return &c.Confs[bad]
}

// looksAt returns the files that the runtime reads.
func (c *CNI) looksAt() []Conf {
	if c.Skips || c.Uses == 0 {
		return c.Confs
	}
	return c.Confs[:min(c.Uses, len(c.Confs))]
}

// Used returns the configuration by which the runtime connects pods, or nil where it has
// none. CRI-O passes over those whose programs are missing; where it passes over all, the
// first of these is returned.
func (c *CNI) Used() *Conf {
	if c.Unknown != "" || !c.Skips && c.Broken() != nil {
		return nil
	}
	var first *Conf
	for i := range c.Confs {
		f := &c.Confs[i]
		if f.Err != nil || c.Network != "" && f.Network != c.Network {
			continue
		}
		if !c.Skips || !slices.ContainsFunc(f.Plugins, func(p ConfPlugin) bool { return c.Missing(p.Type) }) {
			return f
		}
		if first == nil {
			first = f
		}
	}
	return first
}

// Missing tells whether a program is certainly in none of the directories: a directory of
// that name does not count as one.
func (c *CNI) Missing(program string) bool {
	for _, dir := range c.BinDirs {
		there := func(e Entry) bool { return e.Name == program && e.Type != 'd' }
		if c.unlisted[dir] != "" || slices.ContainsFunc(c.programs[dir], there) {
			return false
		}
	}
	return true
}

// ProgramsUnknown says why it is not known which programs are there, or "".
func (c *CNI) ProgramsUnknown() string {
	for _, dir := range c.BinDirs {
		if why := c.unlisted[dir]; why != "" {
			return why
		}
	}
	return ""
}
