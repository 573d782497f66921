package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestWarmBuildDoesNotCompile(t *testing.T) {
	bin := needBinaries(t)
	cmd := labCommand(t, "build")
	cmd.Env = append(cmd.Env, "GOCACHE=off") // go build refuses to run with it
	var progress strings.Builder
	cmd.Stderr = &progress
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("lab build: %v\n%s", err, &progress)
	}
	if got, want := string(out), bin+"\n"; got != want {
		t.Errorf("stdout = %q, want %q", got, want)
	}
	if progress.Len() > 0 {
		t.Errorf("stderr = %q, want nothing", &progress)
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Error(err)
		}
	}
}

// fillWith returns a fill function that makes one binary and counts its calls.
func fillWith(calls *atomic.Int32) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		calls.Add(1)
		return os.Mkdir(filepath.Join(dir, "bin"), 0o755)
	}
}

func TestCacheFillsOnceForManyCallers(t *testing.T) {
	var calls atomic.Int32
	cache := binaryCache{root: t.TempDir(), fill: fillWith(&calls)}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if _, err := cache.bin(t.Context(), "key"); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if got := calls.Load(); got != 1 {
		t.Errorf("filled %d times, want once", got)
	}
}

func TestCacheDoesNotKeepFailedBuild(t *testing.T) {
	var calls atomic.Int32
	fill := fillWith(&calls)
	cache := binaryCache{root: t.TempDir(), fill: func(ctx context.Context, dir string) error {
		return errors.Join(fill(ctx, dir), errors.New("interrupted"))
	}}
	if _, err := cache.bin(t.Context(), "key"); err == nil {
		t.Fatal("no error from a failed build")
	}
	cache.fill = fill // fails if the directory is not empty
	bin, err := cache.bin(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	if !isDir(bin) || calls.Load() != 2 {
		t.Errorf("after %d builds %s is missing", calls.Load(), bin)
	}
}

func TestCacheWaitingForLockCanBeInterrupted(t *testing.T) {
	var calls atomic.Int32
	cache := binaryCache{root: t.TempDir(), fill: fillWith(&calls)}
	unlock, err := lock(t.Context(), filepath.Join(cache.root, "key.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cache.bin(ctx, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}

func TestCacheKeyKeepsInputsApart(t *testing.T) {
	if cacheKey("ab", "c") == cacheKey("a", "bc") {
		t.Error("different inputs have the same key")
	}
}

func TestBuildFlagsCarryPinnedVersion(t *testing.T) {
	flags, err := buildFlags("require (\n\tk8s.io/kubernetes v1.98.7\n)\n")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(flags, " ")
	for _, want := range []string{
		"-X k8s.io/component-base/version.gitVersion=v1.98.7",
		"-X k8s.io/client-go/pkg/version.gitMinor=98",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if _, err := buildFlags("module example.com/m\n"); err == nil {
		t.Error("no error without a required version")
	}
}
