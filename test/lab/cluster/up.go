package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/build"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/network"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/node"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/plane"
)

const (
	// upTimeout bounds the start of a built lab, which takes half a minute.
	upTimeout = 5 * time.Minute
	// healthTimeout bounds the look at a lab that runs already.
	healthTimeout = 30 * time.Second
)

// Up returns a lab that is ready: its nodes are Ready, flannel, kube-proxy and
// CoreDNS too, and the control plane has routes to the pods. It starts one,
// and builds it first, unless it runs already; one that died half way is
// removed before. The lab outlives the caller: Down ends it. What a failed Up
// has started stays for a look at its logs.
func Up(ctx context.Context, opts Options) (*Cluster, error) {
	if missing := Requirements(); len(missing) > 0 {
		return nil, fmt.Errorf("this machine cannot run a lab: it lacks %s", strings.Join(missing, "; "))
	}
	if err := opts.fill(ctx); err != nil {
		return nil, err
	}
	module := build.Module{FS: opts.Module}
	planeBin, err := module.Plane(ctx, opts.Progress)
	if err != nil {
		return nil, err
	}
	built, err := module.Cluster(ctx, opts.Progress)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, opts.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()

	switch running, err := load(opts.Name); {
	case errors.Is(err, errNoLab):
	case err != nil:
		return nil, err
	case running.record.Ready:
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		if err := running.healthy(ctx); err != nil {
			return nil, fmt.Errorf("the lab runs but is not healthy: %w", err)
		}
		return running, nil
	default:
		if err := running.remove(ctx); err != nil {
			return nil, fmt.Errorf("removing a lab that died half way: %w", err)
		}
	}
	return create(ctx, opts, record{Nodes: opts.Nodes, Plane: planeBin, Cluster: built})
}

// lock keeps others from starting or ending the same lab.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	cache, err := build.Cache()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("creating the cache: %w", err)
	}
	return build.Lock(ctx, filepath.Join(cache, "lab-"+name+".lock"))
}

// create starts a lab of which nothing exists.
func create(ctx context.Context, opts Options, r record) (*Cluster, error) {
	cache, err := build.Cache()
	if err != nil {
		return nil, err
	}
	c := &Cluster{name: opts.Name, dir: filepath.Join(cache, "labs", opts.Name), record: r}
	c.network = network.Network{Prefix: opts.Name, Nodes: c.Nodes()}
	// With a record, Down would take these for this lab's.
	if taken, err := c.network.Leftovers(); err != nil || len(taken) > 0 {
		return nil, errors.Join(fmt.Errorf("network namespaces %v belong to somebody else: use another name", taken), err)
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the lab's directory: %w", err)
	}
	if err := c.save(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	if err := raiseInotify(ctx); err != nil {
		return nil, err
	}
	if err := c.start(ctx, opts.Progress); err != nil {
		return nil, fmt.Errorf("starting the lab: %w", err)
	}
	c.record.Ready = true
	return c, c.save()
}

// start is one start of a lab.
type start struct {
	*Cluster
	plane    *plane.Cluster
	client   *http.Client
	apiReady chan struct{}
	began    time.Time
	progress io.Writer
}

func (c *Cluster) start(ctx context.Context, progress io.Writer) error {
	s := &start{Cluster: c, plane: c.plane(), apiReady: make(chan struct{}), began: time.Now(), progress: progress}
	if err := c.network.Create(); err != nil {
		return err
	}
	if err := s.plane.Prepare(); err != nil {
		return err
	}
	client, err := s.plane.Client()
	if err != nil {
		return err
	}
	s.client = client

	// The control plane starts while the nodes load their images. Its context
	// ends with its processes, which matters after the group too.
	planeCtx := ctx
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		var err error
		planeCtx, err = s.startPlane(ctx)
		return err
	})
	for _, n := range c.nodes() {
		group.Go(func() error { return s.startNode(groupCtx, n) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	s.say("control plane and nodes run")
	return s.complete(planeCtx)
}

// say reports a step and when it was done.
func (s *start) say(step string) {
	fmt.Fprintf(s.progress, "lab: %5.1f s  %s\n", time.Since(s.began).Seconds(), step)
}

func (s *start) startPlane(ctx context.Context) (context.Context, error) {
	ctx, err := s.plane.Start(ctx, s.client, func() {
		s.say("API server ready")
		close(s.apiReady)
	})
	if err != nil {
		return ctx, err
	}
	return ctx, s.apply(ctx, s.networkManifests)
}

// startNode starts everything on a node that is not a pod. The kubelet starts
// only when the images of the DaemonSets are there, because it would wait ever
// longer before it looks for a missing one again.
func (s *start) startNode(ctx context.Context, n node.Node) error {
	secrets, err := s.plane.NodeSecrets(n.Name, n.Address)
	if err != nil {
		return err
	}
	err = n.Boot(ctx, node.Config{CNI: s.record.Cluster.CNI(), ClusterDNS: plane.ClusterDNS, Secrets: secrets})
	if err != nil {
		return err
	}
	if err := n.Service(ctx, "containerd", "start"); err != nil {
		return err
	}
	first, later, err := s.archives()
	if err != nil {
		return err
	}
	if err := importImages(ctx, n, first); err != nil {
		return err
	}
	select {
	case <-s.apiReady:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := n.Service(ctx, "kubelet", "start"); err != nil {
		return err
	}
	s.say(n.Name + " started")
	return importImages(ctx, n, later)
}

// complete adds what needs running nodes and waits until all of it is ready.
func (s *start) complete(ctx context.Context) error {
	for _, n := range s.nodes() {
		if err := s.awaitNode(ctx, n); err != nil {
			return fmt.Errorf("waiting for %s: %w; the end of its kubelet's log:\n%s", n.Name, err, n.Log("kubelet"))
		}
	}
	s.say("nodes Ready, with a network")
	if err := s.apply(ctx, s.dnsManifest); err != nil {
		return err
	}
	for _, workload := range []string{
		"kube-system/daemonsets/kube-proxy", "kube-flannel/daemonsets/kube-flannel-ds", "kube-system/deployments/coredns",
	} {
		if err := s.awaitWorkload(ctx, workload); err != nil {
			pods, _ := s.Kubectl(ctx, "", "get", "pods", "-A", "-o", "wide") // the error is in the text
			events, _ := s.Kubectl(ctx, "", "get", "events", "-A", "--sort-by=.lastTimestamp", "--field-selector=type=Warning")
			return fmt.Errorf("waiting for %s: %w\n%s\n%s", workload, err, pods, events)
		}
		s.say(workload + " ready")
	}
	return nil
}
