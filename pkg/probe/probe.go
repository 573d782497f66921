// Package probe looks deeper than the API: for the depths probe and host it starts
// short-lived pods, reads what they print, and removes everything that it made. It writes
// only what is its own, in a namespace made for it, and every pod ends by itself where the
// doctor cannot end it.
package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	// longest is how long a pod may live that looks or tries, whatever becomes of the doctor.
	longest = time.Minute
	// Longest is the same of all pods: those that answer others live through both rounds, and
	// of many that look the last are made late.
	Longest = 2*longest + goodbye
	// pace is how many pods a second a cluster makes, or removes: kube-controller-manager asks
	// the API server so often, unless it is told otherwise (--kube-api-qps).
	pace = 20
	// headStart is how long nodes are looked at before pods with a network start there, where
	// some take longer.
	headStart = 20 * time.Second
	// goodbye is how long cleaning up may take, also after an interrupt, beside what many pods
	// take.
	goodbye = 30 * time.Second
	// parallel is how many logs are read at once.
	parallel = 16
)

// paced is how long a cluster takes to make or to remove some pods.
func paced(pods int) time.Duration { return time.Duration(pods/pace) * time.Second }

// lifetime is how long a job with some pods may take.
func lifetime(pods int) time.Duration { return min(longest+paced(pods), Longest) }

// Options says what to look at, and with what.
type Options struct {
	Depth facts.Depth // Probe, or Host, which includes it

	Image      string // of the pods; its program is this one
	PullSecret string // NAMESPACE/NAME of a Secret that is copied for the pods; "" for none
	Nodes      []string

	// FilesOnly leaves traffic out of Host: where a node's setting is repaired, pods with a
	// network would hide it, since plugins set some as they give a pod its own.
	FilesOnly bool

	// OutsideName is a name outside the cluster to ask for; "" for none.
	OutsideName string

	Progress func(what string) // may be nil
	Warn     func(what string) // takes what the user must know: what was left behind, and why
}

// Run starts the pods that a depth takes and returns the snapshot with what they brought.
// What they did not bring is a gap of the snapshot with its reason; an error is returned
// only where nothing could be asked for: options that cannot be met.
func Run(ctx context.Context, config *rest.Config, s *facts.Snapshot, opts Options) (*facts.Snapshot, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	targets, err := choose(s, opts.Nodes)
	if err != nil {
		return nil, err
	}
	r := &run{client: client, s: s, opts: opts, b: facts.Extend(s)}
	r.look(ctx, targets)
	return r.b.Build(), nil
}

// run holds what the parts of one look share.
type run struct {
	client kubernetes.Interface
	s      *facts.Snapshot
	opts   Options

	longest time.Duration // of its pods; 0: as the constant
	again   time.Duration // for how long a log that cannot be read is asked for again

	mu sync.Mutex // guards b
	b  *facts.Builder
}

// sources returns what the depth brings.
func (r *run) sources() []*facts.Source {
	out := []*facts.Source{facts.Tries}
	if r.opts.Depth >= facts.Host {
		out = append(out, facts.Files)
	}
	return out
}

// fail makes a gap of everything that was to be brought.
func (r *run) fail(err error) {
	for _, src := range r.sources() {
		r.b.Gap(src, "", reason(err))
	}
}

// look does what the depth asks for, in a namespace that is gone afterwards.
func (r *run) look(ctx context.Context, targets targets) {
	if len(targets.nodes) == 0 {
		r.fail(errors.New("no node runs pods: " + targets.why()))
		return
	}
	home, err := r.ready(ctx)
	if err != nil {
		r.fail(err)
		return
	}
	defer home.close(ctx)
	for _, src := range r.sources() {
		r.b.Read(src)
	}
	for node, why := range targets.left {
		r.part(facts.Files, node, why)
	}
	trying := sample(targets.nodes, len(r.opts.Nodes) > 0)
	r.b.Sampled(facts.Tries, len(trying), len(targets.nodes)+targets.unasked)
	if asked := len(targets.nodes) + len(targets.left); r.opts.Depth >= facts.Host {
		r.b.Sampled(facts.Files, asked, asked+targets.unasked)
	}
	var wait sync.WaitGroup
	seen := make(chan struct{})
	wait.Go(func() {
		defer close(seen)
		if r.opts.Depth >= facts.Host {
			r.lookAtHosts(ctx, home, targets.nodes)
		}
	})
	if r.opts.FilesOnly {
		wait.Wait()
		r.b.Gap(facts.Tries, "", "not tried: a repair of nodes looks at their files alone")
		return
	}
	// Nodes come first: plugins set ip_forward, and more, each time they give a pod its
	// network, and what was wrong until then would not be seen. One that does not answer
	// keeps the others no longer than that.
	late := time.NewTimer(headStart)
	defer late.Stop()
	select {
	case <-seen:
	case <-late.C:
	case <-ctx.Done():
	}
	r.tryTraffic(ctx, home, trying)
	wait.Wait()
}

// lookAtHosts reads the files of the nodes.
func (r *run) lookAtHosts(ctx context.Context, home *home, nodes []*corev1.Node) {
	job := hostJob(r.opts.Image, home, nodes, r.resolvConfs())
	results, why := r.results(ctx, home, job, nodes)
	r.markChanged(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range nodes {
		result := results[n.Name]
		if result == nil {
			r.b.Gap(facts.Files, n.Name, why(n.Name))
			continue
		}
		for name, text := range result.Files {
			if local(name) {
				r.b.AddFile(n.Name, name, text)
			}
		}
		for name, text := range result.Gaps {
			if local(name) {
				r.b.Gap(facts.Files, n.Name+name, text)
			}
		}
	}
}

// part makes a gap of one node's part of a source, where the depth brings that source.
func (r *run) part(src *facts.Source, node, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if src.Depth <= r.opts.Depth {
		r.b.Gap(src, node, why)
	}
}

func (r *run) progress(format string, args ...any) {
	if r.opts.Progress != nil {
		r.opts.Progress(fmt.Sprintf(format, args...))
	}
}
