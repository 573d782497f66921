package agent

import (
	"fmt"
	"strings"
	"testing"
)

// containerdConfig is made up of what containerd's documents show, with credentials
// wherever they may be.
const containerdConfig = `# quince in a comment
version = 3
imports = ["/etc/containerd/conf.d/*.toml", 'more.toml'] # quince
disabled_plugins = []
[plugins."io.containerd.cri.v1.runtime"]
  enable_selinux = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [
      "/opt/cni/bin", # quince
      "/usr/lib/cni",
    ]
    conf_dir = "/etc/cni/net.d"
    max_conf_num = 1
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = true
[plugins."io.containerd.grpc.v1.cri".registry.configs."quince.example".auth]
  username = "plum"
  password = "quince"
  auth = """
conf_dir = "quince"
[quince]
"""
  identitytoken = '''quince'''
  logins = [
    ["plum", "quince"],
  ]
[[quinces]]
conf_template = "quince" "quince"
`

const containerdKept = `version = 3
imports = ["/etc/containerd/conf.d/*.toml", 'more.toml']
disabled_plugins = []
[plugins."io.containerd.cri.v1.runtime"]
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [
  "/opt/cni/bin",
  "/usr/lib/cni",
  ]
conf_dir = "/etc/cni/net.d"
max_conf_num = 1
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = true
[[quinces]]
`

func TestRuntimeLines(t *testing.T) {
	got, err := runtimeLines(containerdConfig)
	if err != nil || got != containerdKept {
		t.Errorf("%v\ngot:\n%s\nwant:\n%s", err, got, containerdKept)
	}
	for key, want := range map[string]string{
		"imports": "[/etc/containerd/conf.d/*.toml more.toml]", "bin_dirs": "[/opt/cni/bin /usr/lib/cni]", "conf_dir": "[/etc/cni/net.d]", "network_dir": "[]",
	} {
		if words := fmt.Sprint(runtimeWords(got, key)); words != want {
			t.Errorf("%s: got %s, want %s", key, words, want)
		}
	}
	text, _ := runtimeLines("[crio.network]\nnetwork_dir = \"/etc/plum\"\nplugin_dirs = [\n\t\"/opt/plum\",\n]\ncni_default_network=\"fig\"\n")
	if got := fmt.Sprint(runtimeWords(text, "network_dir", "plugin_dirs")); got != "[/etc/plum /opt/plum]" {
		t.Errorf("of CRI-O: %s", got)
	}
	endless, _ := runtimeLines("bin_dirs = [\n" + strings.Repeat("\"/a\",\n", 1000))
	if n := strings.Count(endless, "\n"); n != 1+mostArrayLines {
		t.Errorf("an array without an end has %d lines", n)
	}
}

func TestSettings(t *testing.T) {
	got, err := dockerSettings(`{"bip":"172.20.0.1/16","mtu":1400,"iptables":false,"proxies":{"http-proxy":"http://a:quince@b"},"insecure-registries":["quince"]}`)
	if want := "bip: 172.20.0.1/16\niptables: false\nmtu: 1400\n"; err != nil || got != want {
		t.Errorf("Docker: %v: got %q, want %q", err, got, want)
	}
	got, err = kubeletSettings("kind: KubeletConfiguration\nresolvConf: /etc/plum.conf\nclusterDNS: [10.9.0.10]\nstaticPodURLHeader:\n  Authorization: [quince]\n")
	if want := "clusterDNS:\n- 10.9.0.10\nkind: KubeletConfiguration\nresolvConf: /etc/plum.conf\n"; err != nil || got != want {
		t.Errorf("kubelet: %v: got %q, want %q", err, got, want)
	}
	if got, err := kubeletSettings("a: b: quince\n"); err == nil || got != "" {
		t.Errorf("what is no YAML: %q, %v", got, err)
	}
}

func TestKernelFilters(t *testing.T) {
	for _, tc := range []struct {
		name       string
		keep       filter
		text, want string
	}{
		{"modules", moduleNames, "br_netfilter 32768 0 - Live 0xffffffffc0\nxt_MASQUERADE 16384 1 -\nnvme 5 0 -\nip_vs_rr 1 0 -\nip6_tables 1 0 -\nwireguard 1 0 -\n",
			"br_netfilter\nxt_MASQUERADE\nip_vs_rr\nip6_tables\nwireguard\n"},
		{"conntrack", conntrackDrops, "entries found insert_failed drop search_restart\n00000001 00000002 00000003 0000000a 00000001\n00000001 00000002 00000001 0000000a fffffffe\n",
			"insert_failed drop search_restart\n00000004 00000014 ffffffff\n"},
		{"snmp", snmpLines, "Ip: Forwarding\nIp: 1\nIcmp: A\nIcmpMsg: B\nTcp: C\nUdp: InErrors\nUdpLite: D\n", "Ip: Forwarding\nIp: 1\nTcp: C\nUdp: InErrors\n"},
		{"resolv.conf", resolverLines, "# by plum\nnameserver 192.0.2.1\nroot:quince:0\nsearch\ta.example\noptions ndots:5\n\n", "# by plum\nnameserver 192.0.2.1\nsearch\ta.example\noptions ndots:5\n\n"},
	} {
		if got, err := tc.keep(tc.text); err != nil || got != tc.want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", tc.name, err, got, tc.want)
		}
	}
	for _, text := range []string{"", "a b c\n", "drop\nxyz\n"} {
		if got, err := conntrackDrops(text); err == nil {
			t.Errorf("conntrack of %q: %q", text, got)
		}
	}
}

func TestKernelLines(t *testing.T) {
	text := "<4>[    1.2] nf_conntrack: nf_conntrack: table full, dropping packet\n<6>[    2.0] usb 1-1: new device\n" +
		"<3>[   10.1] neighbour: arp_cache: neighbor table overflow!\n<6>[ 3] eth0\x1b[31m: link is not ready\n<30>[ 4] TCP: request_sock_TCP: Possible SYN flooding\n[ 5] no level: vxlan\n"
	want := "[    1.2] nf_conntrack: nf_conntrack: table full, dropping packet\n[   10.1] neighbour: arp_cache: neighbor table overflow!\n" +
		"[ 3] eth0?[31m: link is not ready\n[ 4] TCP: request_sock_TCP: Possible SYN flooding\n[ 5] no level: vxlan\n"
	if got := kernelLines(text); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "<4>[ %d] martian source %s\n", i, strings.Repeat("x", 1000))
	}
	got := strings.Split(strings.TrimSpace(kernelLines(many.String())), "\n")
	if len(got) != mostKernelLines || len(got[0]) != mostKernelLine || !strings.HasPrefix(got[len(got)-1], "[ 999]") {
		t.Errorf("%d lines, the first of %d bytes, the last %.20q", len(got), len(got[0]), got[len(got)-1])
	}
	if got := kernelLines("<6>[ 1] all is well\n"); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

// The lines are of /proc/net/tcp, tcp6 and udp6 of a node on amd64.
func TestListeners(t *testing.T) {
	head := "  sl  local_address rem_address   st tx_queue rx_queue\n"
	for _, tc := range []struct{ name, proto, text, want string }{
		{"tcp", "tcp", head + "   0: 0100007F:2710 00000000:0000 0A 0\n   1: 00000000:2810 00000000:0000 0A 0\n   2: 0100007F:2710 0100007F:9999 01 0\n",
			"[tcp 0.0.0.0:10256 tcp 127.0.0.1:10000]"},
		{"tcp6", "tcp", head + "   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0\n", "[tcp [::1]:80]"},
		{"udp", "udp", head + "   0: 00000000000000000000000000000000:2118 0:0 07 0\n   1: 0100007F:0035 0:0 01 0\n", "[udp [::]:8472]"},
		{"nothing", "udp", head, "[]"},
	} {
		got, err := listeners(tc.proto, strings.NewReader(tc.text))
		if err != nil || fmt.Sprint(got) != tc.want {
			t.Errorf("%s: %v: got %v, want %s", tc.name, err, got, tc.want)
		}
	}
	for _, text := range []string{"0: quince:1 0:0 0A\n", "0: 0100007F 0:0 0A\n", "0: 01007F:0035 0:0 0A\n"} {
		if got, err := listeners("tcp", strings.NewReader(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestReadsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reads() {
		if r.Why == "" || !strings.HasPrefix(strings.Replace(r.Pattern, "{", "/{", 1), "/") || seen[r.Pattern] {
			t.Errorf("%+v: no path, no reason, or twice", r)
		}
		seen[r.Pattern] = true
		if word := r.wordOf(); word != "" {
			opts := HostOptions{ResolvConf: []string{"/etc/plum.conf"}}
			files := map[string]string{kubeletFile: "--config=/etc/fig.yaml\n--config-dir\n/etc/fig.d\n"}
			runtime := map[string]string{"/etc/containerd/config.toml": "imports = [\"a.toml\"]\n"}
			if valuesOf(word, &found{files: files, runtime: runtime}, opts) == nil {
				t.Errorf("%s: nothing says what %s is", r.Pattern, word)
			}
		}
	}
}

func TestValuesOf(t *testing.T) {
	f := &found{
		files: map[string]string{kubeletFile: "/usr/bin/kubelet\n--resolv-conf=/run/fig.conf\n--config\n/etc/plum/../fig.yaml\n"},
		runtime: map[string]string{
			"/etc/containerd/config.toml": "imports = [\"conf.d/*.toml\", \"/etc/plum.toml\"]\nconf_dir = \"/etc/plum/net.d\"\nbin_dir = \"/opt/*\"\n",
			"/etc/crio/crio.conf":         "network_dir = \"/etc/cni/net.d/\"\nplugin_dirs = [\"\", \"relative\", \"/\", \"/opt/fig\"]\n",
		},
		kubelet: map[string]string{"/etc/fig.yaml": "resolvConf: /etc/fig-resolv.conf\n", "/etc/z": "resolvConf: \"/etc/a\\nb\"\n"},
	}
	for word, want := range map[string]string{
		"resolv_conf":        "[/run/fig.conf /etc/fig-resolv.conf /etc/quince.conf]",
		"kubelet_config":     "[/etc/fig.yaml]",
		"kubelet_config_dir": "[]",
		"runtime_import":     "[/etc/containerd/conf.d/*.toml /etc/plum.toml]",
		"cni_conf_dir":       "[/etc/cni/net.d /etc/plum/net.d]",
		"cni_bin_dir":        "[/opt/cni/bin /opt/fig]",
	} {
		if got := fmt.Sprint(valuesOf(word, f, HostOptions{ResolvConf: []string{"/etc/quince.conf"}})); got != want {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
}
