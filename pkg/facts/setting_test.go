package facts_test

import (
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// value returns one that is there.
func value(text string) *string { return &text }

const (
	forward = "/proc/sys/net/ipv4/ip_forward"
	drop    = "/etc/sysctl.d/99-zz-netdoctor-ipv4-ip_forward.conf"
	config  = "/var/lib/kubelet/config.yaml"
	left    = "/etc/cni/net.d/05-old.conflist"
)

// field is a setting of the kubelet's configuration.
func field(file string, v *string) facts.Setting {
	return facts.Setting{Node: "quince-7", Path: file, Field: "resolvConf", Unit: "kubelet.service", Value: v}
}

func file(name string, v *string) facts.Setting {
	return facts.Setting{Node: "quince-7", Path: name, Value: v}
}

func place(name string, v *string) facts.Setting {
	return facts.Setting{Node: "quince-7", Path: name, Moves: true, Value: v}
}

func TestSettingsOfRepairs(t *testing.T) {
	for _, s := range []facts.Setting{
		field(config, nil), field(config, value("/run/systemd/resolve/resolv.conf")), field(config, value("")),
		field("/etc/kubernetes/kubelet.conf", nil), field("/var/lib/kubelet/kubeconfig", nil),
		file(forward, value("0")), file(forward, value("1")), file(forward, nil),
		file("/proc/sys/net/ipv6/conf/all/forwarding", value("0")), file("/proc/sys/net/bridge/bridge-nf-call-iptables", value("0")),
		file(drop, nil), file(drop, value("net.ipv4.ip_forward = 1\n")), file(drop, value("")),
		file(drop, value("net.ipv4.ip_forward = 0\nnet.bridge.bridge-nf-call-iptables = 1\n")),
		place(left, value(left)), place(left, value(left+".netdoctor-aside")), place(left, nil),
		place("/var/lib/rancher/k3s/agent/etc/cni/net.d/10-canal.conf", nil), place("/var/snap/microk8s/current/args/cni-network/cni.conflist", nil),
		{Node: "ip-10-0-0-1.eu-west-1.compute.internal", Path: forward},
	} {
		if !s.Valid() {
			t.Errorf("%+v is refused", s)
		}
	}
}

// TestSettingsOfOthers are what somebody could write into a journal's entry, or say for a
// node, to make more of a repair.
func TestSettingsOfOthers(t *testing.T) {
	with := func(s facts.Setting, change func(*facts.Setting)) facts.Setting {
		change(&s)
		return s
	}
	for name, s := range map[string]facts.Setting{
		"nothing":              {},
		"no node":              with(file(forward, nil), func(s *facts.Setting) { s.Node = "" }),
		"another path as node": with(file(forward, nil), func(s *facts.Setting) { s.Node = "../../secrets/x" }),
		"node that parts keys": with(file(forward, nil), func(s *facts.Setting) { s.Node = "a:/b" }),
		"node that is a line":  with(file(forward, nil), func(s *facts.Setting) { s.Node = "a\n" }),

		"relative":            file("etc/sysctl.d/netdoctor.conf", nil),
		"out of it":           file("/etc/sysctl.d/../netdoctor.conf", nil),
		"out of it, into":     file("/proc/sys/net/ipv4/../../kernel/core_pattern", nil),
		"below it":            file("/etc/sysctl.d/x/netdoctor.conf", nil),
		"end of line":         file("/etc/sysctl.d/netdoctor\n.conf", nil),
		"escape":              file("/etc/sysctl.d/netdoctor\x1b[2J.conf", nil),
		"sharp":               file("/etc/sysctl.d/netdoctor#resolvConf.conf", nil),
		"colon":               file("/etc/sysctl.d/netdoctor:.conf", nil),
		"NUL":                 file("/etc/sysctl.d/netdoctor\x00.conf", nil),
		"long":                file("/etc/sysctl.d/netdoctor"+strings.Repeat("a", 500)+".conf", nil),
		"somebody's sysctls":  file("/etc/sysctl.d/99-hardening.conf", nil),
		"no sysctls at all":   file("/etc/sysctl.d/netdoctor.sh", nil),
		"a program's file":    file("/etc/cron.d/netdoctor.conf", nil),
		"a program at a dump": file(drop, value("kernel.core_pattern = |/tmp/x\n")),
		"one more line":       file(drop, value("net.ipv4.ip_forward = 1\nkernel.modprobe = 1\n")),
		"two lines in one":    file(drop, value("net.ipv4.ip_forward = 1\rkernel.core_pattern = 1\n")),
		"a line after NUL":    file(drop, value("net.ipv4.ip_forward = 1\x00kernel.core_pattern = 1\n")),
		"slashes":             file(drop, value("net/../kernel/sysrq = 1\n")),
		"megabytes":           file(drop, value(strings.Repeat("net.ipv4.ip_forward = 1\n", 1<<15))),

		"another sysctl":            file("/proc/sys/kernel/core_pattern", nil),
		"no sysctl":                 file("/proc/sysrq-trigger", nil),
		"a sysctl's other value":    file(forward, value("2")),
		"a sysctl of two lines":     file(forward, value("1\n")),
		"a sysctl with unit":        with(file(forward, nil), func(s *facts.Setting) { s.Unit = "kubelet.service" }),
		"a sysctl that moves":       place(forward, nil),
		"another field":             with(field(config, nil), func(s *facts.Setting) { s.Field = "staticPodPath" }),
		"another unit":              with(field(config, nil), func(s *facts.Setting) { s.Unit = "rescue.target" }),
		"a field without its unit":  with(field(config, nil), func(s *facts.Setting) { s.Unit = "" }),
		"a field that moves":        with(field("/etc/cni/net.d/x.conf", nil), func(s *facts.Setting) { s.Moves = true }),
		"a field of the root":       field("/config.yaml", nil),
		"a field of a script":       field("/usr/local/bin/kubelet.sh", nil),
		"a field of two lines":      field(config, value("/etc/resolv.conf\nstaticPodPath: /tmp")),
		"a field's relative file":   field(config, value("resolv.conf")),
		"a field's file out of it":  field(config, value("/etc/../../x")),
		"a move elsewhere":          place(left, value("/etc/cni/net.d/00-mine.conflist")),
		"a move out of it":          place(left, value("/etc/shadow")),
		"a move of no network":      place("/etc/cni/net.d/README", nil),
		"a move of a program's":     place("/etc/ld.so.conf", nil),
		"a move of the node's DNS":  place("/etc/resolv.conf", nil),
		"a move of somebody's file": place("/etc/notcni/net.d/x.conf", nil),
		"a move of the root's":      place("/x.conf", nil),
	} {
		if s.Valid() {
			t.Errorf("%s: %+v passes", name, s)
		}
	}
}

// TestSettingKeys: what is read of one setting must never be taken for another's.
func TestSettingKeys(t *testing.T) {
	conf := "/etc/cni/net.d/netdoctor.conf"
	seen := map[string]facts.Setting{}
	for _, s := range []facts.Setting{
		file(forward, nil), file(drop, nil), field(config, nil), field(conf, nil), place(conf, nil), place(conf+".json", nil), field(config+".yaml", nil),
		{Node: "quince-70", Path: forward}, {Node: "quince", Path: forward},
	} {
		if was, known := seen[s.Key()]; known || !s.Valid() {
			t.Errorf("%+v has the key of %+v, or is refused", s, was)
		}
		seen[s.Key()] = s
	}
	if file(conf, nil).Valid() || place(drop, nil).Valid() {
		t.Error("one path is both a file's that is written and of one that moves")
	}
	if s := file(forward, value("1")); s.Key() != s.With(nil).Key() || s.With(nil).Value != nil || s.Value == nil {
		t.Error("the value is part of the key, or was taken from the setting itself")
	}
}

func TestSameValues(t *testing.T) {
	for _, tt := range []struct {
		a, b *string
		want bool
	}{
		{nil, nil, true}, {nil, value(""), false}, {value(""), nil, false}, {value("1"), value("1"), true}, {value("1"), value("0"), false},
	} {
		if facts.Same(tt.a, tt.b) != tt.want {
			t.Errorf("%v and %v: %t", tt.a, tt.b, !tt.want)
		}
	}
}

func TestAside(t *testing.T) {
	if got := place(left, nil).Aside(); got != left+".netdoctor-aside" {
		t.Errorf("got %s", got)
	}
}
