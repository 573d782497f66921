package host

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	corev1 "k8s.io/api/core/v1"
)

const (
	containerdFile = "/etc/containerd/config.toml"
	crioFile       = "/etc/crio/crio.conf"
	crioDir        = "/etc/crio/crio.conf.d"

	// mostConfigs bounds the files that one configuration may be made of.
	mostConfigs = 100
)

// Runtime is where a node's container runtime looks for network plugins (CNI).
type Runtime struct {
	Name         string // containerd or cri-o, as the node says it
	Major, Minor int    // of its version

	ConfDir string   // holds the configurations
	BinDirs []string // hold the programs, the first first

	// Uses is how many of the configurations it uses, the first by name: 0 means all.
	Uses int
	// Skips tells that it passes over a configuration that it cannot load. Others load none
	// at all then.
	Skips bool
	// Network is the name of the one network that it uses; "" means the first by name.
	Network string

	// Stated tells that the settings come of its configuration. Otherwise it has none where
	// it is looked for, and these are what it does without.
	Stated bool
	// Unknown says why this is not known, or "".
	Unknown string

	// Files are those of containerd's configuration, as far as they say something of CNI.
	Files []RuntimeFile
}

// RuntimeFile is what one file of containerd's configuration says of CNI.
type RuntimeFile struct {
	Path    string
	Version int // of the form that it is written in
	BinDir  string
	BinDirs []string
}

// RuntimeVersion returns the name of a node's container runtime and its version.
func RuntimeVersion(n *corev1.Node) (name string, major, minor int) {
	name, version, _ := strings.Cut(n.Status.NodeInfo.ContainerRuntimeVersion, "://")
	first, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	second, _, _ := strings.Cut(rest, ".")
	major, _ = strconv.Atoi(first) // what is no number is no version that is known
	minor, _ = strconv.Atoi(second)
	return name, major, minor
}

// Runtime tells where the node's container runtime looks for network plugins, by its
// configuration. It reads the node's version of it, and files.
func (v View) Runtime(n *corev1.Node) Runtime {
	r := Runtime{ConfDir: "/etc/cni/net.d", BinDirs: []string{"/opt/cni/bin"}, Uses: 1}
	r.Name, r.Major, r.Minor = RuntimeVersion(n)
	switch {
	case strings.Contains(n.Status.NodeInfo.KubeletVersion, "+k3s"):
		r.Unknown = "k3s keeps what its runtime reads below /var/lib/rancher, which is not looked at"
	case r.Name == "containerd":
		v.containerd(&r)
	case r.Name == "cri-o":
		r.Skips = true
		v.crio(&r)
	default:
		r.Unknown = fmt.Sprintf("where the container runtime %.40q looks for network plugins is not known", r.Name)
	}
	return r
}

// containerdConfig is what containerd's config.toml says of CNI. Its plugin for that was
// called cri in version 1 of the form, io.containerd.grpc.v1.cri in 2, and
// io.containerd.cri.v1.runtime since (containerd docs/cri/config.md).
type containerdConfig struct {
	Version int      `toml:"version"`
	Imports []string `toml:"imports"`
	Plugins struct {
		First  criPlugin `toml:"cri"`
		Second criPlugin `toml:"io.containerd.grpc.v1.cri"`
		Third  criPlugin `toml:"io.containerd.cri.v1.runtime"`
	} `toml:"plugins"`
}

type criPlugin struct {
	CNI struct {
		BinDir  string   `toml:"bin_dir"`
		BinDirs []string `toml:"bin_dirs"`
		ConfDir string   `toml:"conf_dir"`
		Uses    *int     `toml:"max_conf_num"`
	} `toml:"cni"`
}

// containerd reads config.toml and what it imports, which wins over it.
func (v View) containerd(r *Runtime) {
	pending, seen := []string{containerdFile}, map[string]bool{}
	for len(pending) > 0 && r.Unknown == "" {
		file := pending[0]
		pending = pending[1:]
		if seen[file] || len(seen) == mostConfigs {
			continue
		}
		seen[file] = true
		text, found := v.Read(file)
		r.lacks(file, v.Unknown(file))
		if !found {
			continue
		}
		var c containerdConfig
		if err := toml.Unmarshal([]byte(text), &c); err != nil {
			r.lacks(file, fmt.Sprintf("is no valid TOML: %.200s", err))
			return
		}
		r.Stated = true
		r.take(file, &c)
		for _, pattern := range c.Imports {
			if !path.IsAbs(pattern) {
				pattern = path.Join(path.Dir(file), pattern)
			}
			pending = append(pending, v.matches(pattern, r)...)
		}
	}
	r.BinDirs = r.binDirs()
}

func (r *Runtime) lacks(file, why string) {
	if why != "" && r.Unknown == "" {
		r.Unknown = file + ": " + why
	}
}

// matches returns the files of a pattern, in the order of their names.
func (v View) matches(pattern string, r *Runtime) []string {
	if !strings.Contains(pattern, "*") {
		return []string{pattern}
	}
	dir := path.Dir(pattern)
	r.lacks(pattern, cmp.Or(v.gapUnder(dir), v.Unknown(pattern), v.gap(dir)))
	return slices.DeleteFunc(v.Under(dir), func(name string) bool {
		fits, _ := path.Match(pattern, name)
		return !fits
	})
}

func (r *Runtime) take(file string, c *containerdConfig) {
	p := &c.Plugins.First
	switch {
	case c.Version >= 3:
		p = &c.Plugins.Third
	case c.Version == 2:
		p = &c.Plugins.Second
	}
	r.ConfDir = cmp.Or(cleanDir(p.CNI.ConfDir), r.ConfDir)
	if p.CNI.Uses != nil {
		r.Uses = max(*p.CNI.Uses, 0)
	}
	if p.CNI.BinDir != "" || len(p.CNI.BinDirs) > 0 {
		r.Files = append(r.Files, RuntimeFile{Path: file, Version: c.Version, BinDir: p.CNI.BinDir, BinDirs: p.CNI.BinDirs})
	}
}

// binDirs returns the directories that containerd searches for programs: bin_dirs is known
// since 2.1, and bin_dir until 2.4, where it counts only in the older forms, which are
// translated (containerd internal/cri/config, plugins/cri/runtime).
func (r *Runtime) binDirs() []string {
	var out []string
	for _, f := range r.Files {
		dirs := f.BinDirs
		if !r.AtLeast(2, 1) {
			dirs = nil
		}
		if len(dirs) == 0 && f.BinDir != "" && (f.Version < 3 || !r.AtLeast(2, 4)) {
			dirs = []string{f.BinDir}
		}
		for _, dir := range dirs {
			if dir = cleanDir(dir); !slices.Contains(out, dir) {
				out = append(out, dir)
			}
		}
	}
	if len(out) == 0 {
		return r.BinDirs
	}
	return out
}

// AtLeast tells whether the runtime's version is that one or a later one.
func (r *Runtime) AtLeast(major, minor int) bool {
	return r.Major > major || r.Major == major && r.Minor >= minor
}

func cleanDir(dir string) string {
	if dir == "" {
		return ""
	}
	return path.Clean(dir)
}

// crio reads crio.conf and the files of crio.conf.d, of which a later one wins
// (crio.conf(5), table crio.network).
func (v View) crio(r *Runtime) {
	for _, file := range append([]string{crioFile}, v.matches(crioDir+"/*", r)...) {
		text, found := v.Read(file)
		r.lacks(file, v.Unknown(file))
		if !found {
			continue
		}
		var c struct {
			Crio struct {
				Network struct {
					Default    string   `toml:"cni_default_network"`
					NetworkDir string   `toml:"network_dir"`
					PluginDirs []string `toml:"plugin_dirs"`
				} `toml:"network"`
			} `toml:"crio"`
		}
		if err := toml.Unmarshal([]byte(text), &c); err != nil {
			r.lacks(file, fmt.Sprintf("is no valid TOML: %.200s", err))
			return
		}
		r.Stated = true
		r.ConfDir = cmp.Or(cleanDir(c.Crio.Network.NetworkDir), r.ConfDir)
		r.Network = cmp.Or(c.Crio.Network.Default, r.Network)
		if dirs := c.Crio.Network.PluginDirs; len(dirs) > 0 {
			r.BinDirs = nil
			for _, dir := range dirs {
				r.BinDirs = append(r.BinDirs, cleanDir(dir))
			}
		}
	}
}
