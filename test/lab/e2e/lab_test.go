package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/cluster"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/build"
)

// needCluster skips where neither a cluster was named nor a lab can run, and
// says what is missing.
func needCluster(t *testing.T) {
	t.Helper()
	if os.Getenv(envKubeconfig) != "" {
		return
	}
	if lacking := cluster.Requirements(); len(lacking) > 0 {
		t.Skipf("no lab can run here: it lacks %s", strings.Join(lacking, ", "))
	}
}

// startLab starts a lab of the suite's own, with two nodes, and ends it with
// the test. What a run that was killed has left of it goes first, since it may
// hold a fault; with envKeep it is used as it is.
func startLab(t *testing.T, i int, image string) (testLab, error) {
	opts := cluster.Options{Name: labName(i), Nodes: 2, Progress: os.Stderr}
	if err := holdLab(t, opts.Name); err != nil {
		return nil, err
	}
	if os.Getenv(envKeep) == "" {
		if err := cluster.Down(t.Context(), opts); err != nil {
			return nil, fmt.Errorf("removing a lab that an earlier run left: %w", err)
		}
	}
	c, err := cluster.Up(t.Context(), opts)
	if err != nil {
		return nil, fmt.Errorf("starting the lab: %w", err)
	}
	if os.Getenv(envKeep) == "" {
		t.Cleanup(func() {
			if err := c.Down(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	return c, c.LoadImage(t.Context(), image)
}

// holdLab keeps other runs of the suite from the lab as long as the test runs.
func holdLab(t *testing.T, name string) error {
	cache, err := build.Cache()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	release, err := build.Lock(ctx, filepath.Join(cache, "suite-"+name+".lock"))
	if err != nil {
		return fmt.Errorf("another run of this suite has lab %s (%s gives this one labs of its own): %w", name, envName, err)
	}
	t.Cleanup(release)
	return nil
}

// labName keeps the suite's labs apart from each other, and from one that
// somebody works with.
func labName(i int) string {
	name := os.Getenv(envName)
	if name == "" {
		name = "e2e"
	}
	if i > 0 {
		name = fmt.Sprintf("%s%d", name, i+1)
	}
	return name
}
