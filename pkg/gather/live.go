// Package gather reads a live cluster into a snapshot: each source once, several at a
// time, everything bounded in number, size and time. What cannot be read becomes a gap
// with its reason; it never fails the run and never looks like health.
package gather

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	// parallel is how many requests are under way at once.
	parallel = 8
	// contact is how long the first request may take before the cluster counts as not
	// reachable.
	contact = 20 * time.Second
	// near is how soon an API server answers that is close by. Compression then costs it as
	// much processor time as everything else (15 seconds instead of 7 for 150,000 pods), and
	// nobody waits less; over a slow link a tenth of the bytes is worth it.
	near = 10 * time.Millisecond
	// each bounds a request to one pod or kubelet.
	each = 10 * time.Second
)

// Options says what to read.
type Options struct {
	Sources   []*facts.Source // what the chosen checks read
	Depth     facts.Depth     // sources below it are not read
	Namespace string          // the only one to read workloads from; empty for all
	Now       time.Time
	Record    *facts.Recorder   // takes a copy of every object, for a bundle; may be nil
	Progress  func(what string) // called from several goroutines; may be nil
	Trace     func(Read)        // the same, after each list, and of each other source at the end

	// Apart is how far apart the metrics of cluster DNS are read twice; 0: they are read once.
	Apart time.Duration

	// OutsideName is a name outside of the cluster, with its final dot, for which each pod
	// of cluster DNS is asked; "": none is.
	OutsideName string

	// AllNodes asks every kubelet and every pod of the network, not a sample of them where
	// there are many.
	AllNodes bool
	// Consistent asks for lists as of now, in pages, which costs the API server more than
	// what its watch cache holds.
	Consistent bool
}

// Live reads the cluster until it is done or the context ends; what was not read by
// then is a gap. It fails only where no API server answers at all, or where it does not
// accept the credentials.
func Live(ctx context.Context, config *rest.Config, opts Options) (*facts.Snapshot, error) {
	client, err := kubernetes.NewForConfig(tuned(config))
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	server, took, err := reach(ctx, client)
	if err != nil {
		return nil, err
	}
	g := &gatherer{
		client: client, opts: opts, plain: took < near, slots: make(chan struct{}, parallel), answers: map[*facts.Source]*answers{}, domain: make(chan string, 1),
		b: facts.NewBuilder(opts.Now.UTC(), server, opts.Depth),
	}
	g.b.Scope(opts.Namespace)
	s := g.readLists(ctx)
	g.readConfigMaps(ctx, s)
	g.readLogs(ctx, s)
	g.readConfigz(ctx, s)
	g.readProxy(ctx, s)
	g.readAnswers(ctx, config, s)
	g.wg.Wait()
	g.traceAnswers()
	g.markUnread()
	return g.b.Build(), nil
}

// tuned returns a copy of the configuration for reading much at once: protobuf, no
// client-side rate limit (the API server's priority and fairness does that), and no
// warnings between the lines of the report.
func tuned(config *rest.Config) *rest.Config {
	out := rest.CopyConfig(config)
	out.ContentType = "application/vnd.kubernetes.protobuf"
	out.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	out.QPS = -1
	out.WarningHandler = rest.NoWarnings{}
	return out
}

// reach asks the API server for its version: the first contact. took is how long the
// answer was in coming once the connection stood.
func reach(ctx context.Context, client kubernetes.Interface) (version string, took time.Duration, err error) {
	begin := time.Now()
	var asked, answered atomic.Int64 // since begin; of the transport's goroutines
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { asked.Store(int64(time.Since(begin))) },
		GotFirstResponseByte: func() { answered.Store(int64(time.Since(begin))) },
	})
	ctx, cancel := context.WithTimeout(ctx, contact)
	defer cancel()
	version, err = serverVersion(ctx, client)
	return version, time.Duration(answered.Load() - asked.Load()), err
}

func serverVersion(ctx context.Context, client kubernetes.Interface) (string, error) {
	raw := client.Discovery().RESTClient().Get().AbsPath("/version").SetHeader("Accept", "application/json").Do(ctx)
	var info version.Info
	err := decodeRaw(raw, &info)
	switch {
	case err == nil && info.GitVersion == "":
		return "", errors.New("the server's answer is not that of a Kubernetes API server: it names no version")
	case err == nil:
		return info.GitVersion, nil
	case answeredAnyway(err):
		return "", nil
	}
	return "", err
}

// gatherer holds what the parts of one run share.
type gatherer struct {
	client kubernetes.Interface
	opts   Options
	plain  bool // ask for lists without compression
	slots  chan struct{}

	kubelets sync.WaitGroup // those that are asked for their configuration
	domain   chan string    // the first cluster domain that one of them named

	wg sync.WaitGroup
	mu sync.Mutex // guards what follows, and opts.Record
	b  *facts.Builder

	answers map[*facts.Source]*answers
}

// answers tells what the requests for a source took that are made object by object.
type answers struct {
	Read
	from, to time.Time
}

// answered counts one of these requests, begun at a time; an error counts with no bytes.
// It is called under the lock.
func (g *gatherer) answered(src *facts.Source, begin time.Time, bytes int) {
	a := g.answers[src]
	if a == nil {
		a = &answers{Read: Read{Source: src}, from: begin}
		g.answers[src] = a
	}
	if begin.Before(a.from) {
		a.from = begin
	}
	a.Requests++
	a.to = time.Now()
	if bytes > 0 {
		a.Objects++
		a.Bytes += int64(bytes)
	}
}

func (g *gatherer) traceAnswers() {
	if g.opts.Trace == nil {
		return
	}
	for _, src := range facts.Sources() {
		if a := g.answers[src]; a != nil {
			a.Took = a.to.Sub(a.from)
			g.opts.Trace(a.Read)
		}
	}
}

// wanted tells whether a source, or its part in the system namespaces, is asked for and
// within the depth.
func (g *gatherer) wanted(src *facts.Source) bool {
	return src.Depth <= g.opts.Depth && slices.ContainsFunc(g.opts.Sources, func(s *facts.Source) bool { return s.All() == src })
}

// failed records that a request for an object's part of a source was in vain.
func (g *gatherer) failed(src *facts.Source, begin time.Time, part, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered(src, begin, 0)
	g.b.Gap(src, part, why)
}

// gap records why a source, or an object's part of it, is missing.
func (g *gatherer) gap(src *facts.Source, part, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.b.Gap(src, part, why)
}

// start runs a job as soon as a slot is free.
func (g *gatherer) start(job func()) {
	g.wg.Go(func() {
		g.slots <- struct{}{}
		defer func() { <-g.slots }()
		job()
	})
}

func (g *gatherer) progress(format string, args ...any) {
	if g.opts.Progress != nil {
		g.opts.Progress(fmt.Sprintf(format, args...))
	}
}

// markUnread makes a gap of every source that nobody asked for, so that an empty list
// is never taken for an empty cluster.
func (g *gatherer) markUnread() {
	for _, src := range facts.Sources() {
		switch {
		case src.Depth > facts.Logs && g.wanted(src):
			g.b.Gap(src, "", "no pod was started for it") // package probe may do so
		case src.Depth > g.opts.Depth:
			g.b.Gap(src, "", fmt.Sprintf("read only at --depth %s", src.Depth))
		case !g.wanted(src):
			g.b.Gap(src, "", "not asked for")
		}
	}
}
