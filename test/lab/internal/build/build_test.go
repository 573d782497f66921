package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
)

// fillWith returns a fill function that makes one file and counts its calls.
func fillWith(calls *atomic.Int32) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		calls.Add(1)
		f, err := os.OpenFile(filepath.Join(dir, "program"), os.O_CREATE|os.O_EXCL, 0o755)
		if err != nil {
			return err
		}
		return f.Close()
	}
}

func TestCacheFillsOnceForManyCallers(t *testing.T) {
	var calls atomic.Int32
	c := cache{root: t.TempDir(), fill: fillWith(&calls)}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if _, err := c.dir(t.Context(), "key"); err != nil {
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
	c := cache{root: t.TempDir(), fill: func(ctx context.Context, dir string) error {
		return errors.Join(fill(ctx, dir), errors.New("interrupted"))
	}}
	if _, err := c.dir(t.Context(), "key"); err == nil {
		t.Fatal("no error from a failed build")
	}
	c.fill = fill // fails if the directory is not empty
	dir, err := c.dir(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	if !isDir(dir) || calls.Load() != 2 {
		t.Errorf("after %d builds %s is missing", calls.Load(), dir)
	}
}

func TestCacheWaitingForLockCanBeInterrupted(t *testing.T) {
	var calls atomic.Int32
	c := cache{root: t.TempDir(), fill: fillWith(&calls)}
	unlock, err := Lock(t.Context(), filepath.Join(c.root, "key.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.dir(ctx, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}

func TestCacheKeyKeepsInputsApart(t *testing.T) {
	if cacheKey("ab", "c") == cacheKey("a", "bc") {
		t.Error("different inputs have the same key")
	}
}

func TestLinkerFlagsCarryPinnedVersion(t *testing.T) {
	got, err := linkerFlags("require (\n\tk8s.io/kubernetes v1.98.7\n)\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"-X k8s.io/component-base/version.gitVersion=v1.98.7",
		"-X k8s.io/client-go/pkg/version.gitMinor=98",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if _, err := linkerFlags("module example.com/m\n"); err == nil {
		t.Error("no error without a required version")
	}
}

const testMod = "module m\n\nrequire (\n\tk8s.io/kubernetes v1.98.7\n)\n"

// TestStageIsBuiltForEveryInput changes one input at a time.
func TestStageIsBuiltForEveryInput(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	base := func() stage {
		return stage{
			name: "a test",
			module: Module{fstest.MapFS{
				"go.mod":             {Data: []byte(testMod)},
				"cmd/a/main.go":      {Data: []byte("package main")},
				"cmd/a/main_test.go": {Data: []byte("package main")},
				"elsewhere.go":       {Data: []byte("package lab")},
			}},
			files: []string{"go.mod", "cmd"},
			key:   []string{"recipe"},
			fill: func(j *job, _ context.Context) error {
				_, err := os.Stat(j.path("cmd", "a", "main.go"))
				return err
			},
		}
	}
	build := func(s stage) string {
		t.Helper()
		var progress bytes.Buffer
		dir, err := s.build(t.Context(), &progress)
		if err != nil {
			t.Fatalf("%v\n%s", err, &progress)
		}
		return dir
	}
	first := build(base())
	for _, tc := range []struct {
		name   string
		change func(stage, fstest.MapFS) stage
		same   bool
	}{
		{"nothing", func(s stage, _ fstest.MapFS) stage { return s }, true},
		{"a test", func(s stage, m fstest.MapFS) stage { m["cmd/a/main_test.go"].Data = nil; return s }, true},
		{"a file of no part", func(s stage, m fstest.MapFS) stage { m["elsewhere.go"].Data = nil; return s }, true},
		{"a source", func(s stage, m fstest.MapFS) stage { m["cmd/a/main.go"].Data = nil; return s }, false},
		{"a requirement", func(s stage, m fstest.MapFS) stage {
			m["go.mod"].Data = []byte(testMod + "require x v1\n")
			return s
		}, false},
		{"a recipe", func(s stage, _ fstest.MapFS) stage { s.key = nil; return s }, false},
		{"the stage", func(s stage, _ fstest.MapFS) stage { s.name = "another"; return s }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := base()
			if got := build(tc.change(s, s.module.FS.(fstest.MapFS))) == first; got != tc.same {
				t.Errorf("the same build: %v, want %v", got, tc.same)
			}
		})
	}
}

func TestFindModuleIsTheLabs(t *testing.T) {
	if _, err := FindModule(t.Context()); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if _, err := FindModule(t.Context()); err == nil {
		t.Error("a directory without a module is the lab's")
	}
}

func TestImageInManifest(t *testing.T) {
	manifest := "      - image: example.org/x/flannel-cni-plugin:v2\n        image: example.org/x/flannel:v1\n"
	if got, want := imageIn(manifest, "flannel"), "example.org/x/flannel:v1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
