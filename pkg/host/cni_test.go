package host_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

const flannelConf = `{"name": "cbr0", "cniVersion": "1.0.0", "plugins": [{"type": "flannel", "delegate": {}}, {"type": "portmap"}]}`

// lookedFor is what a look at a node asks for.
const lookedFor = "/etc/containerd/config.toml\n/etc/containerd/conf.d/*.toml\n/etc/crio/crio.conf\n/etc/crio/crio.conf.d/*\n/ls/etc/cni/net.d\n/ls/opt/cni/bin\n"

// onNode returns a node that uses a runtime, and a view of it with these files.
func onNode(runtime string, files, gaps map[string]string) (host.View, *corev1.Node) {
	n := &corev1.Node{}
	n.Name = "w7"
	n.Status.NodeInfo.ContainerRuntimeVersion = runtime
	s := &facts.Snapshot{Files: map[string]map[string]string{"w7": {host.Asked: lookedFor}}, Gaps: map[string]string{}}
	for name, text := range files {
		s.Files["w7"][name] = text
	}
	for name, why := range gaps {
		s.Gaps["host/w7"+name] = why
	}
	return host.Of(s, "w7"), n
}

// conflists returns the files of a directory of configurations, with its listing.
func conflists(confs ...string) map[string]string {
	files := map[string]string{}
	for i := 0; i < len(confs); i += 2 {
		files["/ls/etc/cni/net.d"] += fmt.Sprintf("- %d %s\n", len(confs[i+1]), confs[i])
		files["/etc/cni/net.d/"+confs[i]] = confs[i+1]
	}
	return files
}

func TestCNI(t *testing.T) {
	const list = `{"name": "n", "plugins": [{"type": "bridge"}]}`
	for _, test := range []struct {
		name, runtime string
		confs         []string
		used, broken  string // files
		err           string
	}{
		{"first by name", "containerd://2.1.4", []string{"20-b.conflist", list, "10-flannel.conflist", flannelConf}, "10-flannel.conflist", "", ""},
		{"nothing that is loadable", "containerd://2.1.4", []string{"10-flannel.conflist.bak", flannelConf, "calico-kubeconfig", "x"}, "", "", ""},
		{"first is broken", "containerd://1.7.2", []string{"05-a.conflist", "{", "10-flannel.conflist", flannelConf}, "", "05-a.conflist", "unexpected end of JSON input"},
		{"later is broken", "containerd://1.7.2", []string{"10-flannel.conflist", flannelConf, "20-a.conflist", "{"}, "10-flannel.conflist", "", ""},
		{"one that skips", "cri-o://1.33.2", []string{"05-a.conflist", "{", "10-flannel.conflist", flannelConf}, "10-flannel.conflist", "", ""},
		{"one that skips all", "cri-o://1.33.2", []string{"05-a.conf", list, "10-b.json", `[]`}, "", "05-a.conf", "missing 'type'"},
		{"single", "containerd://2.1.4", []string{"10-a.conf", `{"type": "bridge", "name": "n"}`}, "10-a.conf", "", ""},
		{"a list in .conf", "containerd://2.1.4", []string{"10-a.conf", list}, "", "10-a.conf", "missing 'type'"},
		{"null", "containerd://2.1.4", []string{"10-a.conflist", "null"}, "", "10-a.conflist", "no name"},
		{"no plugins", "containerd://2.1.4", []string{"10-a.conflist", `{"name": "n", "plugins": []}`}, "", "10-a.conflist", "no plugins in list"},
		{"plugins left out", "containerd://2.1.4", []string{"10-a.conflist", `{"name": "n"}`}, "", "10-a.conflist", "no plugin configs found"},
		{"a name of another form", "containerd://2.1.4", []string{"10-a.conflist", `{"name": 1, "plugins": [{"type": "bridge"}]}`}, "", "10-a.conflist", "invalid name type"},
		{"not UTF-8", "containerd://2.1.4", []string{"10-a.conflist", "\xff\xfe{}"}, "", "10-a.conflist", "invalid character"},
		{"deep", "containerd://2.1.4", []string{"10-a.conflist", strings.Repeat(`{"a":`, 20000)}, "", "10-a.conflist", "exceeded max depth"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, n := onNode(test.runtime, conflists(test.confs...), nil)
			c := v.CNI(n)
			used, broken := c.Used(), c.Broken()
			if c.Unknown != "" || base(used) != test.used || base(broken) != test.broken {
				t.Fatalf("uses %q, cannot load %q, unknown %q; want %q and %q", base(used), base(broken), c.Unknown, test.used, test.broken)
			}
			if broken != nil && !strings.Contains(broken.Err.Error(), test.err) {
				t.Errorf("says %q, want %q", broken.Err, test.err)
			}
		})
	}
}

func base(f *host.Conf) string {
	if f == nil {
		return ""
	}
	return strings.TrimPrefix(f.Path, "/etc/cni/net.d/")
}

// What is not known must never pass for a directory without files.
func TestCNIUnknown(t *testing.T) {
	good := conflists("10-flannel.conflist", flannelConf)
	with := func(name, text string) map[string]string {
		out := map[string]string{name: text}
		for k, v := range good {
			out[k] = v
		}
		return out
	}
	listed := map[string]string{"/ls/etc/cni/net.d": "- 9 10-flannel.conflist\n"}
	for _, test := range []struct {
		name, runtime string
		files, gaps   map[string]string
		want          string
	}{
		{"known", "containerd://2.1.4", good, nil, ""},
		{"no such directory", "containerd://2.1.4", nil, nil, ""},
		{"dockershim", "docker://20.10.7", good, nil, `runtime "docker"`},
		{"no runtime", "", good, nil, `runtime ""`},
		{"not looked at", "containerd://2.1.4", with("/etc/containerd/config.toml", "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nconf_dir = '/srv/cni'\n"), nil, "/srv/cni: not read"},
		{"settings unread", "containerd://2.1.4", good, map[string]string{"/etc/containerd/config.toml": "permission denied"}, "config.toml: permission denied"},
		{"settings damaged", "containerd://2.1.4", with("/etc/containerd/config.toml", "[[["), nil, "no valid TOML"},
		{"settings of another form", "containerd://2.1.4", with("/etc/containerd/config.toml", "version = 'three'\n"), nil, "no valid TOML"},
		{"import not looked at", "containerd://2.1.4", with("/etc/containerd/config.toml", "imports = ['/srv/*.toml']\n"), nil, "/srv/*.toml: not read"},
		{"import unread", "containerd://2.1.4", with("/etc/containerd/config.toml", "imports = ['conf.d/*.toml']\n"), map[string]string{"/etc/containerd/conf.d/a.toml": "too large"}, "a.toml: too large"},
		{"import nobody wrote", "containerd://2.1.4", with("/etc/containerd/config.toml", "imports = ['conf.d/*.toml']\n"), nil, ""},
		{"itself imported", "containerd://2.1.4", with("/etc/containerd/config.toml", "imports = ['config.toml']\n"), nil, ""},
		{"drop-in damaged", "cri-o://1.33.2", with("/etc/crio/crio.conf.d/10.conf", "="), nil, "no valid TOML"},
		{"drop-in unread", "cri-o://1.33.2", good, map[string]string{"/etc/crio/crio.conf.d/10.conf": "permission denied"}, "10.conf: permission denied"},
		{"listing cut off", "containerd://2.1.4", good, map[string]string{"/ls/etc/cni/net.d": "200 of 900 names"}, "200 of 900 names"},
		{"listing garbled", "containerd://2.1.4", map[string]string{"/ls/etc/cni/net.d": "total 4\n-rw-r--r-- 1 root root 292 10-flannel.conflist\n"}, nil, `the line "total 4"`},
		{"listing cut in a line", "containerd://2.1.4", map[string]string{"/ls/etc/cni/net.d": "- 292 10-flannel.conflist\n- 29"}, nil, `the line "- 29"`},
		{"a size that is none", "containerd://2.1.4", map[string]string{"/ls/etc/cni/net.d": "- many 10-flannel.conflist\n"}, nil, `the line "- many 10-flannel.conflist"`},
		{"listing empty", "containerd://2.1.4", map[string]string{"/ls/etc/cni/net.d": ""}, nil, ""},
		{"directory unread", "containerd://2.1.4", nil, map[string]string{"/etc/cni/net.d": "permission denied"}, "permission denied"},
		{"file unread", "containerd://2.1.4", listed, map[string]string{"/etc/cni/net.d/10-flannel.conflist": "permission denied"}, "10-flannel.conflist: permission denied"},
		{"file not looked for", "containerd://2.1.4", listed, nil, "10-flannel.conflist: not read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, n := onNode(test.runtime, test.files, test.gaps)
			got := v.CNI(n).Unknown
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("unknown for %q, want %q", got, test.want)
			}
		})
	}
}

// Further plugins may stand in a directory of the network's name, which is not looked at.
func TestCNIOpen(t *testing.T) {
	files := conflists("10-a.conflist", `{"name": "n"}`)
	files["/ls/etc/cni/net.d"] += "d 4096 n\n"
	v, n := onNode("containerd://2.1.4", files, nil)
	c := v.CNI(n)
	if used := c.Used(); used == nil || !used.Open || len(used.Plugins) > 0 {
		t.Errorf("uses %+v", used)
	}
}

func TestMissing(t *testing.T) {
	files := conflists("10-flannel.conflist", flannelConf)
	files["/ls/opt/cni/bin"] = "- 4653218 flannel\nl 20 bridge -> /srv/bridge\nd 4096 host-local\n\n? 0 a b\n"
	v, n := onNode("containerd://2.1.4", files, nil)
	c := v.CNI(n)
	for program, want := range map[string]bool{"flannel": false, "bridge": false, "a b": false, "host-local": true, "portmap": true} {
		if got := c.Missing(program); got != want {
			t.Errorf("%s missing: %v", program, got)
		}
	}
	v, n = onNode("containerd://2.1.4", files, map[string]string{"/ls/opt/cni/bin": "cut off"})
	if c := v.CNI(n); c.Missing("portmap") || c.ProgramsUnknown() == "" {
		t.Errorf("what stands behind the end of a listing is missing; unknown: %q", c.ProgramsUnknown())
	}
	files["/ls/opt/cni/bin"] = "- 4653218 flannel\nodd\n"
	v, n = onNode("containerd://2.1.4", files, nil)
	if c := v.CNI(n); c.Missing("portmap") || c.ProgramsUnknown() == "" {
		t.Errorf("what a garbled listing does not name is missing; unknown: %q", c.ProgramsUnknown())
	}
}

func FuzzCNI(f *testing.F) {
	f.Add("containerd://2.1.4", "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = ['/opt/cni/bin']\n", "- 292 10-flannel.conflist\n", flannelConf)
	f.Add("cri-o://1.33.2", "[crio.network]\nnetwork_dir = '/etc/cni/net.d/'\n", "l 3 10-flannel.conflist -> x\nd 1 cbr0\n", `{"cniVersions": ["1.0.0", "x"], "name": "n"}`)
	f.Fuzz(func(t *testing.T, runtime, config, listing, conf string) {
		v, n := onNode(runtime, map[string]string{"/etc/containerd/config.toml": config, "/etc/crio/crio.conf": config, "/ls/etc/cni/net.d": listing,
			"/ls/opt/cni/bin": listing, "/etc/cni/net.d/10-flannel.conflist": conf}, nil)
		c := v.CNI(n)
		if used := c.Used(); used != nil && used.Err != nil {
			t.Errorf("uses a file that cannot be loaded: %v", used.Err)
		}
		if broken := c.Broken(); broken != nil && broken.Err == nil {
			t.Error("a file without an error is broken")
		}
		c.Missing(listing)
	})
}
