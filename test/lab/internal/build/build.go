// Package build builds what a lab consists of, once for each version of it, and
// keeps it in the user's cache directory.
//
// There are two stages. The plane needs a Go toolchain and nothing else. The
// cluster needs cgo and programs of the distribution as well, and is built only
// for those who run whole clusters.
package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Module is the lab's own module: its go.mod, go.sum and directory cmd. Builds
// happen in a copy of these, so that they need nothing else of the tree.
type Module struct{ fs.FS }

// FindModule returns the module of the working directory, which must be the
// lab's. Tests inside the module use it; the command embeds what it needs.
func FindModule(ctx context.Context) (Module, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return Module{}, fmt.Errorf("finding the lab's module: %w", err)
	}
	dir := filepath.Dir(strings.TrimSpace(string(out)))
	m := Module{os.DirFS(dir)}
	if _, err := fs.Stat(m, "cmd/labnode"); err != nil {
		return Module{}, fmt.Errorf("the module in %s is not the lab's", dir)
	}
	return m, nil
}

// Cache returns the directory that holds builds and running labs.
func Cache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(dir, "netdoctor-lab"), nil
}

// Plane returns the directory that holds etcd, kube-apiserver,
// kube-controller-manager and kubectl, and builds them only if no earlier call
// has built the same ones.
func (m Module) Plane(ctx context.Context, progress io.Writer) (string, error) {
	s := stage{
		name:   "the control plane",
		module: m,
		files:  []string{"go.mod", "go.sum"},
		fill:   (*job).plane,
	}
	dir, err := s.build(ctx, progress)
	return filepath.Join(dir, "bin"), err
}

// stage is a part of the lab that is built as a whole.
type stage struct {
	name   string
	module Module
	files  []string // of the module; directories stand for all below them
	key    []string // whatever else decides what comes out
	fill   func(*job, context.Context) error
}

// job is one run of a stage.
type job struct {
	module   Module
	dir      string
	ldflags  string
	progress io.Writer
}

func (s stage) build(ctx context.Context, progress io.Writer) (string, error) {
	root, err := Cache()
	if err != nil {
		return "", err
	}
	goMod, err := fs.ReadFile(s.module, "go.mod")
	if err != nil {
		return "", fmt.Errorf("reading the lab's module: %w", err)
	}
	ldflags, err := linkerFlags(string(goMod))
	if err != nil {
		return "", err
	}
	inputs, err := s.inputs(ctx)
	if err != nil {
		return "", err
	}
	c := cache{root: root, fill: func(ctx context.Context, dir string) error {
		start := time.Now()
		fmt.Fprintf(progress, "lab: building %s; with an empty Go build cache this takes minutes\n", s.name)
		if err := s.copyTo(dir); err != nil {
			return fmt.Errorf("preparing the build: %w", err)
		}
		if err := s.fill(&job{s.module, dir, ldflags, progress}, ctx); err != nil {
			return fmt.Errorf("building %s: %w", s.name, err)
		}
		fmt.Fprintf(progress, "lab: built %s in %s\n", s.name, time.Since(start).Round(time.Second))
		return nil
	}}
	return c.dir(ctx, cacheKey(append(append(inputs, ldflags), compilerFlags()...)...))
}

// inputs returns everything but the flags that decides what is built.
func (s stage) inputs(ctx context.Context) ([]string, error) {
	toolchain, err := toolchainID(ctx)
	if err != nil {
		return nil, err
	}
	inputs := append([]string{s.name, toolchain}, s.key...)
	err = s.eachFile(func(name string, content []byte) error {
		inputs = append(inputs, name, string(content))
		return nil
	})
	return inputs, err
}

func (s stage) copyTo(dir string) error {
	return s.eachFile(func(name string, content []byte) error {
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}

// eachFile calls do for the stage's files in a fixed order.
func (s stage) eachFile(do func(name string, content []byte) error) error {
	for _, file := range s.files {
		err := fs.WalkDir(s.module, file, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if strings.HasSuffix(name, "_test.go") {
				return nil
			}
			content, err := fs.ReadFile(s.module, name)
			if err != nil {
				return err
			}
			return do(name, content)
		})
		if err != nil {
			return fmt.Errorf("reading the lab's module: %w", err)
		}
	}
	return nil
}

// cacheKey names a build by everything that decides what comes out of it.
func cacheKey(inputs ...string) string {
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%d:%s", len(in), in) // the length keeps neighbours apart
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// toolchainID identifies the compiler and its target.
func toolchainID(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Dir = os.TempDir() // the go.mod of the caller must have no say
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version: %w", err)
	}
	return string(out), nil
}

// pinned returns the version that goMod requires of a module.
func pinned(goMod, module string) (string, error) {
	pin := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` (v\S+)`).FindStringSubmatch(goMod)
	if pin == nil {
		return "", fmt.Errorf("go.mod does not require %s", module)
	}
	return pin[1], nil
}

// compilerFlags go with every build without cgo.
func compilerFlags() []string {
	return []string{
		"-trimpath",
		"-buildvcs=false",
		"-gcflags=all=-dwarf=false", // the linker would only throw it away again
	}
}

// linkerFlags make the binaries carry the version that goMod requires, because
// clients compare versions and a build from source would otherwise call itself
// v0.0.0-master.
func linkerFlags(goMod string) (string, error) {
	version, err := pinned(goMod, "k8s.io/kubernetes")
	if err != nil {
		return "", err
	}
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) != 3 {
		return "", fmt.Errorf("version %s of Kubernetes has no three parts", version)
	}
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, set := range []string{
			"gitVersion=" + version, "gitMajor=" + parts[0], "gitMinor=" + parts[1],
			"gitTreeState=clean", "gitCommit=lab",
		} {
			flags = append(flags, "-X", pkg+"."+set)
		}
	}
	return strings.Join(flags, " "), nil
}

// plane builds the programs of a control plane.
func (j *job) plane(ctx context.Context) error {
	err := j.goBuild(ctx, []string{"-ldflags=" + j.ldflags},
		"go.etcd.io/etcd/server/v3",
		"k8s.io/kubernetes/cmd/kube-apiserver",
		"k8s.io/kubernetes/cmd/kube-controller-manager",
		"k8s.io/kubernetes/cmd/kubectl",
	)
	if err != nil {
		return err
	}
	// etcd's main package sits in a directory called server.
	return os.Rename(j.path("bin", "server"), j.path("bin", "etcd"))
}

func (j *job) path(elem ...string) string {
	return filepath.Join(append([]string{j.dir}, elem...)...)
}

// goBuild builds main packages into bin, without cgo.
func (j *job) goBuild(ctx context.Context, flags []string, packages ...string) error {
	args := append([]string{"build", "-o", j.path("bin") + string(filepath.Separator)}, compilerFlags()...)
	args = append(args, flags...)
	return j.run(ctx, j.dir, []string{"CGO_ENABLED=0"}, "go", append(args, packages...)...)
}

// run runs a program of the build and shows what it says.
func (j *job) run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off"), env...)
	cmd.Stdout, cmd.Stderr = j.progress, j.progress
	// An orphaned build would go on writing into a directory that the next
	// one has taken over.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, firstArg(args), errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

func firstArg(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
