package cluster

import (
	"context"
	"fmt"
	"strings"
)

// Status tells what runs, for people: nodes with the cluster's view of them, and
// pods. The error is what keeps the lab from being healthy.
func (c *Cluster) Status(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	var b strings.Builder
	fmt.Fprintf(&b, "lab %s, files in %s\n\n", c.name, c.dir)
	for _, n := range c.nodes() {
		state := "runs"
		if err := n.Running(); err != nil {
			state = err.Error()
		}
		fmt.Fprintf(&b, "%s %s %s\n", n.Name, n.Address, state)
	}
	for _, what := range [][]string{{"get", "nodes", "-o", "wide"}, {"get", "pods", "-A", "-o", "wide"}} {
		out, err := c.Kubectl(ctx, "", append(what, "--request-timeout=10s")...)
		if err != nil {
			return b.String(), err
		}
		fmt.Fprintf(&b, "\n%s", out)
	}
	return b.String(), c.healthy(ctx)
}
