package node

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/image"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/network"
)

//go:embed files
var files embed.FS

// Config is what a node's filesystem is made of.
type Config struct {
	CNI        string            // directory of the network plugins
	ClusterDNS string            // address that the kubelet gives to pods
	Secrets    map[string][]byte // files below /etc/kubernetes
}

// makeRoot makes the filesystem of the node, but for what is mounted into it.
func (n Node) makeRoot(c Config) error {
	for _, dir := range []string{
		"usr", "var/lib", "var/log", "var/tmp", "run", "etc/containerd", "etc/cni/net.d",
		"etc/kubernetes/pki", "etc/systemd/user", "etc/sysctl.d", "opt/cni/bin", "tmp", "proc", "sys", "dev", "root", "lab/bin", "lab/images",
	} {
		if err := os.MkdirAll(n.path("root", dir), 0o755); err != nil {
			return err
		}
	}
	// kube-proxy's pods ask for /lib/modules, which a machine need not have.
	for _, dir := range []string{"usr/upper/lib/modules", "usr/work"} {
		if err := os.MkdirAll(n.path(dir), 0o755); err != nil {
			return err
		}
	}
	for link, target := range map[string]string{
		"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "../run",
	} {
		if err := os.Symlink(target, n.path("root", link)); err != nil {
			return err
		}
	}
	if err := n.copyEtc(); err != nil {
		return err
	}
	if err := os.CopyFS(n.path("root/opt/cni/bin"), os.DirFS(c.CNI)); err != nil {
		return err
	}
	return n.configure(c)
}

// copyEtc copies what programs of the machine's /usr need.
func (n Node) copyEtc() error {
	for _, name := range []string{"passwd", "group", "nsswitch.conf", "ld.so.cache", "protocols", "services", "ethertypes"} {
		content, err := os.ReadFile(filepath.Join("/etc", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := n.write("etc/"+name, content, 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"alternatives", "iproute2"} {
		err := os.CopyFS(n.path("root/etc", name), os.DirFS(filepath.Join("/etc", name)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (n Node) configure(c Config) error {
	texts := map[string]string{
		"etc/hostname":    n.Name + "\n",
		"etc/hosts":       fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", n.Address, n.Name),
		"etc/resolv.conf": "nameserver " + network.UpstreamDNSAddress + "\n",
	}
	for name, text := range texts {
		if err := n.write(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for name, content := range c.Secrets {
		if err := n.write("etc/kubernetes/"+name, content, 0o600); err != nil {
			return err
		}
	}
	values := struct{ Pause, ClusterDNS, Name, Address string }{image.Pause, c.ClusterDNS, n.Name, n.Address}
	for source, target := range map[string]string{
		"containerd.toml": "etc/containerd/config.toml",
		"kubelet.yaml":    "etc/kubernetes/kubelet.yaml",
		"kubelet.service": "etc/systemd/user/kubelet.service",
		"lab.target":      "etc/systemd/user/lab.target",
	} {
		t, err := template.ParseFS(files, "files/"+source)
		if err != nil {
			return err
		}
		var content bytes.Buffer
		if err := t.Execute(&content, values); err != nil {
			return err
		}
		if err := n.write(target, content.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (n Node) write(name string, content []byte, mode fs.FileMode) error {
	return os.WriteFile(n.path("root", name), content, mode)
}
