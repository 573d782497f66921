package agent

import (
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	cniConfDir = "/etc/cni/net.d" // of containerd and CRI-O alike, where they are not told otherwise
	cniBinDir  = "/opt/cni/bin"

	mostWords = 16 // values that one word may stand for
)

// found is what was read so far, by path: all of it, and the parts that name other files.
type found struct{ files, runtime, kubelet map[string]string }

// valuesOf returns what a word in braces stands for, by what was read so far: absolute
// paths, without what a pattern gives a meaning to, except in imports, which are patterns.
//
//	resolv_conf         --resolv-conf, resolvConf of the kubelet's configuration, HostOptions.ResolvConf
//	kubelet_config      --config
//	kubelet_config_dir  --config-dir
//	runtime_import      imports of containerd's configuration
//	cni_conf_dir        /etc/cni/net.d; conf_dir of containerd, network_dir of CRI-O
//	cni_bin_dir         /opt/cni/bin; bin_dir and bin_dirs of containerd, plugin_dirs of CRI-O
func valuesOf(word string, found *found, opts HostOptions) []string {
	var out []string
	cmdline := found.files[kubeletFile]
	switch word {
	case "resolv_conf":
		out = slices.Concat(flags(cmdline, "--resolv-conf"), kubeletResolvConf(found.kubelet), opts.ResolvConf)
	case "kubelet_config":
		out = flags(cmdline, "--config")
	case "kubelet_config_dir":
		out = flags(cmdline, "--config-dir")
	case "runtime_import":
		out = imports(found.runtime)
	case "cni_conf_dir":
		out = append([]string{cniConfDir}, ofRuntimes(found.runtime, "conf_dir", "network_dir")...)
	case "cni_bin_dir":
		out = append([]string{cniBinDir}, ofRuntimes(found.runtime, "bin_dir", "bin_dirs", "plugin_dirs")...)
	}
	var clean []string
	for _, value := range out {
		special := `*?[]\`
		if word == "runtime_import" {
			special = `[]\`
		}
		if !path.IsAbs(value) || strings.ContainsAny(value, special) || value != printable(value) {
			continue
		}
		if value = path.Clean(value); value != "/" && !slices.Contains(clean, value) && len(clean) < mostWords {
			clean = append(clean, value)
		}
	}
	return clean
}

// flags returns the values of a flag in the arguments of a process, one a line.
func flags(cmdline, name string) []string {
	var out []string
	args := strings.Split(cmdline, "\n")
	for i, arg := range args {
		if value, found := strings.CutPrefix(arg, name+"="); found {
			out = append(out, value)
		} else if arg == name && i+1 < len(args) {
			out = append(out, args[i+1])
		}
	}
	return out
}

// kubeletResolvConf returns what the kubelet's configuration says, where it could be read.
func kubeletResolvConf(files map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var config struct{ ResolvConf string }
		if yaml.Unmarshal([]byte(files[name]), &config) == nil {
			out = append(out, config.ResolvConf)
		}
	}
	return out
}

func ofRuntimes(files map[string]string, keys ...string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out = append(out, runtimeWords(files[name], keys...)...)
	}
	return out
}

// imports are relative to the file that they stand in.
func imports(files map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, value := range runtimeWords(files[name], "imports") {
			if !path.IsAbs(value) {
				value = path.Join(path.Dir(name), value)
			}
			out = append(out, value)
		}
	}
	return out
}
