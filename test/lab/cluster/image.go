package cluster

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// LoadImage gives the images of an archive, an OCI layout in a tar or what "docker save"
// writes, to the containerd of every node. Pods that are made afterwards find them under the
// names in the archive with imagePullPolicy IfNotPresent or Never. Images that had these names
// lose them; containers that run keep theirs.
func (c *Cluster) LoadImage(ctx context.Context, file string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes() {
		group.Go(func() error { return n.Import(ctx, file) })
	}
	return group.Wait()
}
