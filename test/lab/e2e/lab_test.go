package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/cluster"
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
// the test.
func startLab(t *testing.T, i int, image string) (testLab, error) {
	c, err := cluster.Up(t.Context(), cluster.Options{Name: labName(i), Nodes: 2, Progress: os.Stderr})
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
