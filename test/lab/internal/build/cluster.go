package build

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/image"
)

// nextCoreDNS is the version of CoreDNS that the cluster can be moved to. The
// first is the one that go.mod requires; a module cannot require two.
const nextCoreDNS = "v1.15.0"

// sources are part of what decides how a cluster is built.
//
//go:embed *.go
var sources embed.FS

// Cluster is the directory of what nodes are made of.
type Cluster string

// Bin holds the programs of nodes, and kube-scheduler.
func (c Cluster) Bin() string { return filepath.Join(string(c), "bin") }

// CNI holds the network plugins that every node starts with.
func (c Cluster) CNI() string { return filepath.Join(string(c), "cni") }

// Images holds container images as archives.
func (c Cluster) Images() string { return filepath.Join(string(c), "images") }

// Manifest returns the content of one of the upstream files that package addon
// makes manifests of.
func (c Cluster) Manifest(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(string(c), "manifests", name))
	return string(content), err
}

// The files that Manifest knows.
const (
	CoreDNSManifest   = "coredns.yaml.base"
	FlannelManifest   = "kube-flannel.yml"
	KubeProxyManifest = "kube-proxy.go" // holds the templates as constants
)

// Cluster builds what nodes are made of, only if no earlier call has.
func (m Module) Cluster(ctx context.Context, progress io.Writer) (Cluster, error) {
	recipes, err := readAll(image.Recipes)
	if err != nil {
		return "", err
	}
	steps, err := readAll(sources)
	if err != nil {
		return "", err
	}
	s := stage{
		name:   "the cluster",
		module: m,
		files:  []string{"go.mod", "go.sum", "cmd"},
		key:    append(recipes, steps...),
		fill:   (*job).cluster,
	}
	dir, err := s.build(ctx, progress)
	return Cluster(dir), err
}

func readAll(fsys fs.FS) ([]string, error) {
	var contents []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		contents = append(contents, string(content))
		return err
	})
	return contents, err
}

func (j *job) cluster(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		j.nodePrograms, j.runc, j.secondCoreDNS, j.sortPrograms, j.manifests, j.images,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) nodePrograms(ctx context.Context) error {
	// Snapshotters that need headers of C libraries, and a manual.
	tags := "-tags=no_btrfs,no_devmapper,no_zfs,urfave_cli_no_docs"
	// Nodes show the version of containerd to everybody who lists them.
	containerd, err := j.pinned("github.com/containerd/containerd/v2")
	if err != nil {
		return err
	}
	version := "-ldflags=" + j.ldflags + " -X github.com/containerd/containerd/v2/version.Version=" + strings.TrimPrefix(containerd, "v")
	return j.goBuild(ctx, []string{tags, version},
		"./cmd/...",
		"github.com/containerd/containerd/v2/cmd/containerd",
		"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
		"github.com/containerd/containerd/v2/cmd/ctr",
		"github.com/containernetworking/plugins/plugins/ipam/host-local",
		"github.com/containernetworking/plugins/plugins/main/bridge",
		"github.com/containernetworking/plugins/plugins/main/loopback",
		"github.com/containernetworking/plugins/plugins/meta/portmap",
		"github.com/flannel-io/flannel/cmd/install_conf",
		"k8s.io/kubernetes/cmd/kube-proxy",
		"k8s.io/kubernetes/cmd/kube-scheduler",
		"k8s.io/kubernetes/cmd/kubelet",
	)
}

// runc builds with cgo, which runc cannot do without, and with seccomp, which
// CoreDNS's manifest asks for.
func (j *job) runc(ctx context.Context) error {
	return j.run(ctx, j.dir, []string{"CGO_ENABLED=1"}, "go", "build",
		"-trimpath", "-buildvcs=false",
		"-tags=seccomp,urfave_cli_no_docs,netgo,osusergo",
		"-ldflags=-s -w -linkmode external -extldflags -static",
		"-o", j.path("bin", "runc"), "github.com/opencontainers/runc")
}

// secondCoreDNS builds the same main package in a module of its own.
func (j *job) secondCoreDNS(ctx context.Context) error {
	dir := j.path("coredns-" + nextCoreDNS)
	if err := os.CopyFS(dir, os.DirFS(j.path("cmd", "coredns"))); err != nil {
		return err
	}
	goMod := "module lab.invalid/coredns\n\ngo 1.26.0\n\nrequire github.com/coredns/coredns " + nextCoreDNS + "\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o644); err != nil {
		return err
	}
	args := append([]string{"build", "-mod=mod", "-o", j.path("bin", "coredns-"+nextCoreDNS), "-ldflags=-s -w"}, compilerFlags()...)
	return j.run(ctx, dir, []string{"CGO_ENABLED=0"}, "go", append(args, ".")...)
}

// sortPrograms gives programs the names that they go by, and puts the network
// plugins apart.
func (j *job) sortPrograms(context.Context) error {
	if err := os.Mkdir(j.path("cni"), 0o755); err != nil {
		return err
	}
	version, err := j.pinned("github.com/coredns/coredns")
	if err != nil {
		return err
	}
	moves := map[string]string{"install_conf": "bin/install-conf", "coredns": "bin/coredns-" + version}
	for _, plugin := range []string{"bridge", "host-local", "loopback", "portmap"} {
		moves[plugin] = "cni/" + plugin
	}
	for from, to := range moves {
		if err := os.Rename(j.path("bin", from), j.path(to)); err != nil {
			return err
		}
	}
	return nil
}

// manifests copies what upstream ships for its users out of the module cache,
// which somebody may clean before the next start.
func (j *job) manifests(ctx context.Context) error {
	if err := os.Mkdir(j.path("manifests"), 0o755); err != nil {
		return err
	}
	for _, m := range []struct{ module, file, name string }{
		{"k8s.io/kubernetes", "cluster/addons/dns/coredns/coredns.yaml.base", CoreDNSManifest},
		{"k8s.io/kubernetes", "cmd/kubeadm/app/phases/addons/proxy/manifests.go", KubeProxyManifest},
		{"github.com/flannel-io/flannel", "Documentation/kube-flannel.yml", FlannelManifest},
	} {
		dir, err := j.moduleDir(ctx, m.module)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(m.file)))
		if err != nil {
			return err
		}
		if err := os.WriteFile(j.path("manifests", m.name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) images(ctx context.Context) error {
	if err := os.Mkdir(j.path("images"), 0o755); err != nil {
		return err
	}
	kubernetes, err := j.moduleDir(ctx, "k8s.io/kubernetes")
	if err != nil {
		return err
	}
	kubernetesVersion, err := j.pinned("k8s.io/kubernetes")
	if err != nil {
		return err
	}
	coreDNS, err := j.pinned("github.com/coredns/coredns")
	if err != nil {
		return err
	}
	flannel, err := Cluster(j.dir).Manifest(FlannelManifest)
	if err != nil {
		return err
	}
	in := image.Ingredients{
		PauseSource: filepath.Join(kubernetes, "build/pause/linux/pause.c"),
		CoreDNS:     map[string]string{},
		KubeProxy:   j.path("bin", "kube-proxy"),
		KubeProxyAs: "registry.k8s.io/kube-proxy:" + kubernetesVersion,
		Flanneld:    j.path("bin", "flanneld"),
		InstallConf: j.path("bin", "install-conf"),
		FlannelAs:   imageIn(flannel, "flannel"),
		CNIFlannel:  j.path("bin", "cni-flannel"),
		CNIAs:       imageIn(flannel, "flannel-cni-plugin"),
		LabTool:     j.path("bin", "labtool"),
	}
	for _, version := range []string{coreDNS, nextCoreDNS} {
		in.CoreDNS["registry.k8s.io/coredns/coredns:"+version] = j.path("bin", "coredns-"+version)
	}
	return image.SaveAll(ctx, j.path("images"), in)
}

// imageIn returns the reference by which a manifest asks for an image.
func imageIn(manifest, name string) string {
	for _, m := range regexp.MustCompile(`(?m)^\s*image: (\S+)`).FindAllStringSubmatch(manifest, -1) {
		if base, _, _ := strings.Cut(path.Base(m[1]), ":"); base == name {
			return m[1]
		}
	}
	return name + ":missing-in-manifest"
}

func (j *job) pinned(module string) (string, error) {
	goMod, err := fs.ReadFile(j.module, "go.mod")
	if err != nil {
		return "", err
	}
	return pinned(string(goMod), module)
}

func (j *job) moduleDir(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = j.dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding %s in the module cache: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
