package addon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// upstream reads a file of a module, which need not be in the module cache
// where nothing was built.
func upstream(t *testing.T, module, file string) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil || strings.TrimSpace(string(dir)) == "" {
		t.Skipf("%s is not in the module cache", module)
	}
	content, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestCoreDNSIsFilledIn(t *testing.T) {
	base := upstream(t, "k8s.io/kubernetes", "cluster/addons/dns/coredns/coredns.yaml.base")
	got, err := CoreDNS(base, "10.9.8.7", "v9.9.9")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"clusterIP: 10.9.8.7\n", "kubernetes cluster.local in-addr.arpa ip6.arpa {",
		"image: registry.k8s.io/coredns/coredns:v9.9.9\n", "memory: 170Mi\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestCoreDNSRefusesUnknownManifest(t *testing.T) {
	for name, base := range map[string]string{
		"placeholder": "image: x/coredns:v1\nnew: __DNS__SOMETHING__\n",
		"image":       "image: x/unbound:v1\n",
	} {
		if got, err := CoreDNS(base, "10.9.8.7", "v1"); err == nil {
			t.Errorf("%s: no error for %q", name, got)
		}
	}
}

func TestKubeProxyIsFilledIn(t *testing.T) {
	source := upstream(t, "k8s.io/kubernetes", "cmd/kubeadm/app/phases/addons/proxy/manifests.go")
	got, err := KubeProxy(source, "https://10.9.8.7:6443", "10.1.0.0/16", "v1.98.7")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"server: https://10.9.8.7:6443\n", "\n    clusterCIDR: 10.1.0.0/16\n",
		"image: registry.k8s.io/kube-proxy:v1.98.7\n", "name: system:node-proxier\n",
		"--config=/var/lib/kube-proxy/config.conf\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "{{") || strings.Contains(got, "<no value>") {
		t.Errorf("the templates are not filled in:\n%s", got)
	}
}

func TestKubeProxyRefusesUnknownTemplates(t *testing.T) {
	for name, source := range map[string]string{
		"not Go":       "kind: DaemonSet",
		"no templates": "package proxy\nconst A, B = `x`, 7\n",
		"a new value":  "package proxy\nconst KubeProxyConfigMap19 = `{{ .New }}`\nconst KubeProxyDaemonSet19 = ``\n",
	} {
		if got, err := KubeProxy(source, "", "", ""); err == nil {
			t.Errorf("%s: no error for %q", name, got)
		}
	}
}
