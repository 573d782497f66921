package main

import (
	"context"
	"crypto/sha256"
	_ "embed" // for go.mod and go.sum
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// The module files are embedded so that a built lab works from any directory.

//go:embed go.mod
var goMod string

//go:embed go.sum
var goSum string

// ensureBinaries returns the directory that holds etcd, kube-apiserver,
// kube-controller-manager and kubectl, and builds them only if no earlier call
// has built the same ones.
func ensureBinaries(ctx context.Context, progress io.Writer) (string, error) {
	userCache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	flags, err := buildFlags(goMod)
	if err != nil {
		return "", err
	}
	toolchain, err := toolchainID(ctx)
	if err != nil {
		return "", err
	}
	cache := binaryCache{
		root: filepath.Join(userCache, "netdoctor-lab"),
		fill: func(ctx context.Context, dir string) error {
			return goBuild(ctx, dir, flags, progress)
		},
	}
	return cache.bin(ctx, cacheKey(goMod, goSum, toolchain, strings.Join(flags, "\x00")))
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

// buildFlags returns the flags of go build. The binaries carry the version
// that goMod requires, because clients compare versions and a build from
// source would otherwise call itself v0.0.0-master.
func buildFlags(goMod string) ([]string, error) {
	pin := regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\S+)`).FindStringSubmatch(goMod)
	if pin == nil {
		return nil, fmt.Errorf("go.mod does not require k8s.io/kubernetes")
	}
	ldflags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, set := range []string{
			"gitVersion=" + pin[1], "gitMajor=" + pin[2], "gitMinor=" + pin[3],
			"gitTreeState=clean", "gitCommit=lab",
		} {
			ldflags = append(ldflags, "-X", pkg+"."+set)
		}
	}
	return []string{
		"-trimpath",
		"-buildvcs=false",
		"-gcflags=all=-dwarf=false", // -s -w would only throw it away again
		"-ldflags=" + strings.Join(ldflags, " "),
	}, nil
}

// goBuild makes dir a module with the pinned requirements and builds its tools
// into dir/bin.
func goBuild(ctx context.Context, dir string, flags []string, progress io.Writer) error {
	for name, content := range map[string]string{"go.mod": goMod, "go.sum": goSum} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("preparing the build: %w", err)
		}
	}
	bin := filepath.Join(dir, "bin")
	args := append([]string{"build", "-o", bin + string(filepath.Separator)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "tool")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = progress, progress
	// An orphaned build would go on writing into a directory that the next
	// one has taken over.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	start := time.Now()
	fmt.Fprintln(progress, "lab: building the control plane; with an empty Go build cache this takes minutes")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the control plane: %w", err)
	}
	// etcd's main package sits in a directory called server.
	if err := os.Rename(filepath.Join(bin, "server"), filepath.Join(bin, "etcd")); err != nil {
		return fmt.Errorf("naming etcd: %w", err)
	}
	fmt.Fprintf(progress, "lab: built in %s\n", time.Since(start).Round(time.Second))
	return nil
}
