package agent

import (
	"slices"
	"strings"
)

// Look is one thing that Host looks for on a node. All that it reads stands in Reads:
// there is no other way to a file.
type Look struct {
	// Pattern is a path of the host, or a pattern of path.Match for one, or the name
	// under which package host knows what is no file. A word in braces stands for what
	// the configuration of the runtime or of the kubelet names: see words.go.
	Pattern string

	// Why is what it tells, and what of it is kept where that is not everything.
	Why string

	from  origin
	whole bool   // a part of it would pass for something else: all of it or nothing
	keep  filter // nil: everything but secrets
	names topic  // whether other files are named in it
}

// topic is whose configuration a file is.
type topic int

const (
	ofRuntime topic = iota + 1
	ofKubelet
)

// origin is where something comes from.
type origin int

const (
	fromRoot   origin = iota // files of the host
	fromProc                 // the process's own /proc
	fromSys                  // and /sys
	fromDir                  // what a directory of the host holds, without its files' text
	fromLink                 // where a link of the host leads
	fromKernel               // made by one of makers
)

// filter leaves of a text what may leave the node. Its error says why nothing of it may.
type filter func(text string) (string, error)

// Bounds of one look.
const (
	mostFileBytes  = 256 << 10 // of one file
	mostDirFiles   = 200       // that fit one pattern, or are listed of one directory
	mostDirNames   = 10_000    // that are looked through in one directory
	mostTotalBytes = 16 << 20  // of everything
)

// Reads returns everything that Host looks for, in the order in which it does.
func Reads() []Look {
	return slices.Concat(kernelReads(), resolverReads(), runtimeReads(), cniReads(), kubeletReads(),
		sysctlReads(), systemReads())
}

func each(why string, r Look, patterns ...string) []Look {
	out := make([]Look, len(patterns))
	for i, p := range patterns {
		out[i], out[i].Pattern, out[i].Why = r, p, why
	}
	return out
}

func resolverReads() []Look {
	return slices.Concat(
		each("the nameservers that the kubelet hands to pods", Look{keep: resolverLines},
			"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf",
			"/run/NetworkManager/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf", "{resolv_conf}"),
		each("who writes resolv.conf", Look{from: fromLink}, "/link/etc/resolv.conf"),
		each("systemd-resolved: its stub and its servers", Look{},
			"/etc/systemd/resolved.conf", "/etc/systemd/resolved.conf.d/*.conf", "/run/systemd/resolved.conf.d/*.conf"),
		each("NetworkManager: who resolves, and which interfaces it leaves alone", Look{},
			"/etc/NetworkManager/NetworkManager.conf", "/etc/NetworkManager/conf.d/*.conf", "/run/NetworkManager/conf.d/*.conf"),
		each("dnsmasq: its servers", Look{}, "/etc/dnsmasq.conf", "/etc/dnsmasq.d/*.conf"),
	)
}

func runtimeReads() []Look {
	return slices.Concat(
		each("where the runtime looks for CNI: those lines and the names of sections alone, never a registry's", Look{keep: runtimeLines, names: ofRuntime},
			"/etc/containerd/config.toml", "/etc/containerd/conf.d/*.toml", "{runtime_import}",
			"/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*"),
		each("Docker's bridge, addresses and packet filter: those settings alone", Look{keep: dockerSettings, whole: true},
			"/etc/docker/daemon.json"),
	)
}

func cniReads() []Look {
	return slices.Concat(
		each("the network plugin's configuration, without values that are secrets and without kubeconfigs", Look{keep: cniConf, whole: true},
			"{cni_conf_dir}/*.conf", "{cni_conf_dir}/*.conflist", "{cni_conf_dir}/*.json"),
		each("which configuration comes first, and what else lies there", Look{from: fromDir}, "/ls{cni_conf_dir}"),
		each("which plugins are installed", Look{from: fromDir}, "/ls{cni_bin_dir}"),
		each("flannel: the node's subnet and MTU", Look{}, "/run/flannel/subnet.env"),
		each("whether flannel has run", Look{from: fromDir}, "/ls/run/flannel"),
	)
}

func kubeletReads() []Look {
	return slices.Concat(
		each("the kubelet's flags, from the service's files, without secrets", Look{},
			"/etc/default/kubelet", "/etc/sysconfig/kubelet", "/etc/systemd/system/kubelet.service.d/*.conf"),
		each("the kubelet's configuration: what is about the network alone", Look{keep: kubeletSettings, whole: true, names: ofKubelet},
			"{kubelet_config}", "{kubelet_config_dir}/*.conf"),
	)
}

func systemReads() []Look {
	return slices.Concat(
		each("a firewall beside the cluster's", Look{}, "/etc/firewalld/firewalld.conf", "/etc/ufw/ufw.conf"),
		each("whether firewalld runs", Look{from: fromDir}, "/ls/run/firewalld"),
		each("the mode of SELinux", Look{}, "/etc/selinux/config"),
		each("the mode of SELinux", Look{from: fromSys}, "/sys/fs/selinux/enforce"),
		each("which kernel settings and modules last over a restart", Look{},
			"/etc/sysctl.conf", "/etc/sysctl.d/*.conf", "/run/sysctl.d/*.conf", "/etc/modules-load.d/*.conf"),
		each("the distribution, for advice in its words", Look{}, "/etc/os-release"),
	)
}

// wordOf returns the word in braces of a pattern, or "".
func (r Look) wordOf() string {
	_, rest, _ := strings.Cut(r.Pattern, "{")
	word, _, _ := strings.Cut(rest, "}")
	return word
}
