package host_test

import (
	"strings"
	"testing"
)

const (
	third  = "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n"
	second = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\n"
)

// The versions are those in which containerd changed what it makes of its settings.
func TestContainerd(t *testing.T) {
	for _, test := range []struct {
		name, version, config, imported string
		conf, bins                      string
		uses                            int
	}{
		{"defaults", "2.4.2", "", "", "/etc/cni/net.d", "/opt/cni/bin", 1},
		{"third form", "2.4.2", third + "conf_dir = '/a/'\nbin_dirs = ['/b', '/c/']\nmax_conf_num = 0\n", "", "/a", "/b /c", 0},
		{"second form", "1.7.28", second + "conf_dir = '/a'\nbin_dir = '/b'\nmax_conf_num = 2\n", "", "/a", "/b", 2},
		{"second form is translated", "2.4.2", second + "bin_dir = '/b'\n", "", "/etc/cni/net.d", "/b", 1},
		{"first form", "1.4.3", "[plugins.cri.cni]\nconf_dir = '/a'\nbin_dir = '/b'\n", "", "/a", "/b", 1},
		{"another form's section", "2.4.2", "version = 3\n[plugins.'io.containerd.grpc.v1.cri'.cni]\nconf_dir = '/a'\n", "", "/etc/cni/net.d", "/opt/cni/bin", 1},
		{"a word that is too new", "2.0.4", third + "bin_dirs = ['/b']\n", "", "/etc/cni/net.d", "/opt/cni/bin", 1},
		{"a word that is too old", "2.4.0", third + "bin_dir = '/b'\n", "", "/etc/cni/net.d", "/opt/cni/bin", 1},
		{"a word that is old", "2.3.9", third + "bin_dir = '/b'\n", "", "/etc/cni/net.d", "/b", 1},
		{"an import wins", "2.4.2", "imports = ['conf.d/*.toml']\n" + third + "conf_dir = '/a'\n", third + "conf_dir = '/z'\n", "/z", "/opt/cni/bin", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{}
			if test.config != "" {
				files["/etc/containerd/config.toml"] = test.config
			}
			if test.imported != "" {
				files["/etc/containerd/conf.d/z.toml"] = test.imported
			}
			v, n := onNode("containerd://"+test.version, files, nil)
			r := v.Runtime(n)
			if got := strings.Join(r.BinDirs, " "); r.Unknown != "" || r.ConfDir != test.conf || got != test.bins || r.Uses != test.uses || r.Stated != (test.config != "") {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestCRIO(t *testing.T) {
	v, n := onNode("cri-o://1.33.2", map[string]string{
		"/etc/crio/crio.conf":            "[crio.network]\nnetwork_dir = '/a/'\nplugin_dirs = ['/b/']\ncni_default_network = 'pods'\n",
		"/etc/crio/crio.conf.d/10-x":     "[crio.network]\nnetwork_dir = '/c'\n",
		"/etc/crio/crio.conf.d/20-x.cnf": "[crio.network]\nplugin_dirs = ['/d', '/e/']\n",
	}, nil)
	r := v.Runtime(n)
	if r.Unknown != "" || r.ConfDir != "/c" || strings.Join(r.BinDirs, " ") != "/d /e" || r.Network != "pods" || !r.Skips {
		t.Errorf("%+v", r)
	}
}
