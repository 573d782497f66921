package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRootHasConfiguration(t *testing.T) {
	cni := t.TempDir()
	if err := os.WriteFile(filepath.Join(cni, "bridge"), []byte("plugin"), 0o755); err != nil {
		t.Fatal(err)
	}
	n := Node{Name: "node7", Dir: t.TempDir(), Address: "10.9.8.7"}
	err := n.makeRoot(Config{CNI: cni, ClusterDNS: "10.9.0.10", Secrets: map[string][]byte{"pki/kubelet.key": []byte("secret")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"etc/hostname":                "node7\n",
		"etc/hosts":                   "10.9.8.7 node7\n",
		"etc/kubernetes/kubelet.yaml": "clusterDNS: [10.9.0.10]\n",
		"etc/containerd/config.toml":  `sandbox = "registry.k8s.io/pause:`,
		"opt/cni/bin/bridge":          "plugin",
	} {
		content, err := os.ReadFile(n.path("root", name))
		if err != nil || !strings.Contains(string(content), want) {
			t.Errorf("%s lacks %q; %v\n%s", name, want, err, content)
		}
	}
	if info, err := os.Stat(n.path("root/etc/kubernetes/pki/kubelet.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kubelet's key has mode %v; %v", info.Mode(), err)
	}
}

func TestNodeThatWasNeverBooted(t *testing.T) {
	n := Node{Name: "node7", Dir: filepath.Join(t.TempDir(), "node7"), Namespace: "labnodetest-node7"}
	if err := n.Running(); err == nil || !strings.Contains(err.Error(), "node7 does not run") {
		t.Errorf("error is %v, want that it does not run", err)
	}
	if _, err := n.Exec(t.Context(), "true"); err == nil {
		t.Error("a command ran on it")
	}
	if err := n.Destroy(t.Context()); err != nil {
		t.Error("destroying it:", err)
	}
}

func TestCgroupsGoWithAllBelow(t *testing.T) {
	if missing := MissingControllers(); os.Geteuid() != 0 || len(missing) > 0 {
		t.Skip("making cgroups takes root and version 1 of cgroups; missing here:", missing)
	}
	list := filepath.Join(t.TempDir(), "cgroups")
	t.Cleanup(func() {
		if err := removeCgroups(t.Context(), list); err != nil {
			t.Log(err)
		}
	})
	if err := createCgroups(list, "labnodetest"); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	dirs := strings.Fields(string(content))
	if len(dirs) == 0 {
		t.Fatal("no cgroup was made")
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, "kubepods/pod1"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second finds nothing
		if err := removeCgroups(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}
