package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// downTimeout bounds the end of a lab, which takes seconds.
const downTimeout = time.Minute

// Down ends the lab by the name in opts, with every process in its namespaces,
// and removes everything that Up has made on this machine but what was built,
// from whatever state the lab is in. Where there is no lab it does nothing.
func Down(ctx context.Context, opts Options) error {
	if err := opts.fillName(); err != nil {
		return err
	}
	unlock, err := lock(ctx, opts.Name)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := load(opts.Name)
	switch {
	case errors.Is(err, errNoLab):
		// Whoever had no time for a record has made no more.
		return errors.Join(c.removeDir(), restoreInotify(ctx))
	case err != nil:
		return err
	}
	return c.remove(ctx)
}

// Down ends the lab, with every process in its namespaces, and removes
// everything that Up has made on this machine but what was built.
func (c *Cluster) Down(ctx context.Context) error { return Down(ctx, Options{Name: c.name}) }

// remove ends and removes the lab. The record goes last, so that an
// interrupted removal can be repeated.
func (c *Cluster) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	group, groupCtx := errgroup.WithContext(ctx)
	for _, n := range c.nodes() {
		group.Go(func() error { return n.Destroy(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	namespaces, err := c.network.Leftovers()
	if err != nil {
		return err
	}
	for _, ns := range namespaces {
		if err := wait.For(ctx, 20*time.Second, ns.Kill); err != nil {
			return fmt.Errorf("ending what runs in network namespace %s: %w", ns, err)
		}
		if err := ns.Delete(); err != nil {
			return err
		}
	}
	if err := c.removeDir(); err != nil {
		return err
	}
	return restoreInotify(ctx)
}

func (c *Cluster) removeDir() error {
	// First what is not the record.
	if err := os.RemoveAll(string(c.state())); err != nil {
		return fmt.Errorf("removing the control plane's files: %w", err)
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("removing the lab's directory: %w", err)
	}
	_ = os.Remove(filepath.Dir(c.dir)) // stays if other labs are in it
	return nil
}
