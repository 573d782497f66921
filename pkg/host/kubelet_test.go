package host_test

import (
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

func TestKubeletStarts(t *testing.T) {
	const a, b = host.KubeletDropIns + "/10-a.conf", host.KubeletDropIns + "/20-b.conf"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", nil, ""},
		{"the usual variable", map[string]string{host.KubeletDefault: "KUBELET_EXTRA_ARGS=--a=1 --b\n"}, "--a=1 --b="},
		{"quoted", map[string]string{host.KubeletDefault: "KUBELET_EXTRA_ARGS=\"--a=1 --b two\"\n"}, "--a=1 --b=two"},
		{"a variable that nobody names", map[string]string{host.KubeletDefault: "OTHER=--a=1\n"}, ""},
		{"a comment", map[string]string{a: "[Service]\n; Environment=X=--a=1\n#ExecStart=/k --b\nExecStart=/k $X --c\n"}, "--c="},
		{"a later file takes back", map[string]string{a: "ExecStart=/k --a\n", b: "ExecStart=\nExecStart=/k --b\n"}, "--b="},
		{"a later variable wins", map[string]string{a: "Environment=X=--a\nExecStart=/k $X\n", b: "Environment=\"X=--b --c=3\"\n"}, "--b= --c=3"},
		{"a file wins over a variable", map[string]string{a: "Environment=KUBELET_EXTRA_ARGS=--a\nEnvironmentFile=-/etc/default/kubelet\nExecStart=/k $KUBELET_EXTRA_ARGS\n",
			host.KubeletDefault: "KUBELET_EXTRA_ARGS=--d\n"}, "--d="},
		{"a file that no unit names", map[string]string{a: "EnvironmentFile=/srv/x\nExecStart=/k $KUBELET_EXTRA_ARGS\n", host.KubeletDefault: "KUBELET_EXTRA_ARGS=--d\n"}, ""},
		{"a file beside that of the package", map[string]string{a: "EnvironmentFile=/srv/x\n", "/srv/x": "KUBELET_KUBEADM_ARGS=--a\n", host.KubeletDefault: "KUBELET_EXTRA_ARGS=--d\n"}, "--a= --d="},
		{"a file that wins over that of the package", map[string]string{a: "EnvironmentFile=/srv/x\n", "/srv/x": "KUBELET_EXTRA_ARGS=--a\n", host.KubeletDefault: "KUBELET_EXTRA_ARGS=--d\n"}, "--a="},
		{"in braces one word", map[string]string{a: "Environment=\"X=--a --b\" Y=--c\nExecStart=/k ${X} $Y\n"}, "--a --b= --c="},
		{"over lines", map[string]string{a: "ExecStart=/k \\\n  --a=1 \\\n  --b 2\n"}, "--a=1 --b=2"},
		{"an end that goes on", map[string]string{a: "ExecStart=/k --a \\"}, "--a="},
		{"variables taken back", map[string]string{a: "Environment=X=--a\nEnvironment=\nExecStart=/k $X\n"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, _ := onNode("containerd://2.1.4", test.files, nil)
			if got := flags(v.KubeletStarts()); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func flags(list []host.Flag) string {
	var out []string
	for _, f := range list {
		out = append(out, f.Name+"="+f.Value)
	}
	return strings.Join(out, " ")
}

func TestKubeletRuns(t *testing.T) {
	v, _ := onNode("containerd://2.1.4", map[string]string{host.KubeletCmdline: "kubelet\n--v=2\n--cni-bin-dir\n/opt/cni/bin\n--x\n"}, nil)
	if got := flags(v.KubeletRuns()); got != "--v=2 --cni-bin-dir=/opt/cni/bin --x=" {
		t.Error(got)
	}
}

// A command line that names one long variable again and again stays bounded.
func TestKubeletStartsBounded(t *testing.T) {
	v, _ := onNode("containerd://2.1.4", map[string]string{
		host.KubeletDropIns + "/a.conf": "Environment=X='" + strings.Repeat("--a ", 60_000) + "'\nExecStart=/k " + strings.Repeat("$X ", 60_000) + "\n",
	}, nil)
	if n := len(v.KubeletStarts()); n == 0 || n > 100_000 {
		t.Errorf("%d flags", n)
	}
}
