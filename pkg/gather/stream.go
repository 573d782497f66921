package gather

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/wire"
)

const (
	// pageSize is the limit of one list request. An API server that answers from its watch
	// cache ignores it at resourceVersion 0 and sends the list whole, which costs it least;
	// where it has none, as for events, it keeps to it.
	pageSize = 500

	// attempts is how often a list is asked for whose answer breaks off, before it counts as
	// not to be had; invited the same where the server asks for patience (Retry-After).
	attempts = 3
	invited  = 10
	// pauseBetween lies between two attempts.
	pauseBetween = time.Second
	// firstByte is how long the server may take to start with an answer: one that does not
	// stream encodes all of a large list before.
	firstByte = 30 * time.Second
	// nextByte is how long it may pause within an answer.
	nextByte = 15 * time.Second
)

// errStalled ends a request whose answer does not go on.
var errStalled = errors.New("the server stopped sending")

// Read tells what one list took.
type Read struct {
	Source    *facts.Source
	Namespace string // empty for all
	Objects   int
	Bytes     int64 // of the answers, unpacked
	Requests  int   // pages and attempts
	Took      time.Duration
	Err       error // of a list that could not be read
}

// received is a list that came in whole.
type received struct {
	Read
	batch  *facts.Batch
	record *facts.Recorder // nil unless a bundle is recorded
}

// fetch reads one list to its end. An answer that breaks off or stops is asked for
// again; what came of it is dropped.
func (g *gatherer) fetch(ctx context.Context, src *facts.Source, namespace string) (*received, error) {
	begin := time.Now()
	total := Read{Source: src, Namespace: namespace}
	limit := int64(pageSize)
	var got *received
	var err error
	for attempt := 1; ; attempt++ {
		got, err = g.pages(ctx, src, namespace, limit)
		total.Requests += got.Requests
		total.Bytes += got.Bytes
		if err == nil || !again(ctx, err, attempt) {
			break
		}
		if expired(err) {
			limit = 0 // in one piece: then no token can expire
		}
	}
	if src.Addon && apierrors.IsNotFound(err) {
		got, err = &received{batch: facts.NewBatch()}, nil // the API is not there, nor any object of it
	}
	total.Took, total.Objects, total.Err = time.Since(begin), got.Objects, err
	if g.opts.Trace != nil {
		g.opts.Trace(total)
	}
	return got, err
}

func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }

// again tells whether to ask once more after an error, and waits until it is time for
// that. Where the server asks for more patience than there is time, it is not waited for.
func again(ctx context.Context, err error, attempt int) bool {
	wait, most := pauseBetween, attempts
	seconds, asked := apierrors.SuggestsClientDelay(err)
	switch {
	case asked:
		wait, most = time.Duration(seconds)*time.Second, invited
	case expired(err):
		wait = 0
	case !broken(err):
		return false
	}
	if deadline, ok := ctx.Deadline(); attempt == most || ok && time.Until(deadline) < wait {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// broken tells whether an answer ended before its time, or did not go on, as it happens
// while one API server of several restarts.
func broken(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errStalled) || utilnet.IsProbableEOF(err) ||
		utilnet.IsConnectionReset(err) || utilnet.IsConnectionRefused(err) || utilnet.IsHTTP2ConnectionLost(err)
}

// pages reads a list page by page, or at once where the server sends it so. What it
// returns is whole if there is no error.
func (g *gatherer) pages(ctx context.Context, src *facts.Source, namespace string, limit int64) (*received, error) {
	got := &received{batch: facts.NewBatch()}
	if g.opts.Record != nil {
		got.record = new(facts.Recorder)
	}
	opts := metav1.ListOptions{Limit: limit}
	if !g.opts.Consistent {
		opts.ResourceVersion = "0"
	}
	for {
		head, err := g.page(ctx, src, namespace, opts, got)
		if err != nil {
			return got, err
		}
		if head.Continue == "" {
			return got, nil
		}
		opts.Continue, opts.ResourceVersion = head.Continue, ""
	}
}

// page asks once and decodes the answer while it arrives.
func (g *gatherer) page(ctx context.Context, src *facts.Source, namespace string, opts metav1.ListOptions, got *received) (wire.Head, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(firstByte, func() { cancel(errStalled) })
	defer watchdog.Stop()
	got.Requests++
	request := g.client.CoreV1().RESTClient().Get().AbsPath(groupPath(src)...).
		NamespaceIfScoped(namespace, namespace != metav1.NamespaceAll).Resource(src.Name).VersionedParams(&opts, scheme.ParameterCodec).MaxRetries(0)
	if _, ok := facts.New(src).(message); !ok {
		request.SetHeader("Accept", "application/json")
	}
	if g.plain {
		request.SetHeader("Accept-Encoding", "identity")
	}
	body, err := request.Stream(ctx)
	if err != nil {
		return wire.Head{}, stalledOr(ctx, err)
	}
	defer body.Close()
	counted := &counter{r: body, alive: func() { watchdog.Reset(nextByte) }}
	head, err := decode(counted, src, got)
	got.Bytes += counted.n
	return head, stalledOr(ctx, err)
}

// groupPath is where the lists of a source's API group stand.
func groupPath(src *facts.Source) []string {
	if src.Group == "" {
		return []string{"api", src.Version}
	}
	return []string{"apis", src.Group, src.Version}
}

// stalledOr puts the watchdog's reason in the place of the error that it brought about.
func stalledOr(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

// decode reads a list in either encoding, object by object.
func decode(body io.Reader, src *facts.Source, got *received) (wire.Head, error) {
	buffered := bufio.NewReaderSize(body, 1<<16)
	magic, _ := buffered.Peek(4) // what is wrong with less the walk will tell
	walk, item := wire.JSON, jsonItem(src, got)
	if bytes.Equal(magic, []byte("k8s\x00")) {
		walk, item = wire.Protobuf, protobufItem(src, got)
	}
	head, err := walk(buffered, item)
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &status):
		return head, err // the server speaks for itself
	case err != nil:
		return head, fmt.Errorf("the server's answer: %w", err)
	}
	want := schema.GroupVersion{Group: src.Group, Version: src.Version}.String()
	if head.Kind != src.Kind+"List" || head.APIVersion != want {
		return head, fmt.Errorf("the server's answer is not a list of %s but a %s of %s", src.Name, head.Kind, head.APIVersion)
	}
	return head, nil
}

type object interface {
	runtime.Object
	metav1.Object
}

// message is what the generated types of the API have, which custom resources lack: these
// come as JSON alone.
type message interface {
	object
	Reset()
	Unmarshal([]byte) error
}

// protobufItem returns what decodes one object. Where the batch keeps only values, one
// object is used again and again; and unless a bundle is recorded, nothing is decoded
// that the batch would drop.
func protobufItem(src *facts.Source, got *received) func([]byte) error {
	var reused message
	if src == facts.Pods || src == facts.EndpointSlices || src == facts.Events {
		reused, _ = facts.New(src).(message)
	}
	var picked []byte
	return func(raw []byte) error {
		if got.record == nil {
			var err error
			if picked, err = wire.Pick(picked[:0], raw, facts.Fields(src)); err != nil {
				return err
			}
			raw = picked
		}
		obj := reused
		if obj != nil {
			obj.Reset()
		} else if fresh, ok := facts.New(src).(message); ok {
			obj = fresh
		} else {
			return errors.New("it came as protobuf, which its type does not know")
		}
		if err := obj.Unmarshal(raw); err != nil {
			return err
		}
		return got.take(src, obj)
	}
}

func jsonItem(src *facts.Source, got *received) func([]byte) error {
	return func(raw []byte) error {
		obj, _ := facts.New(src).(object)
		if err := json.Unmarshal(raw, obj); err != nil {
			return err
		}
		return got.take(src, obj)
	}
}

func (r *received) take(src *facts.Source, obj object) error {
	if obj.GetName() == "" {
		return errors.New("it has no name")
	}
	r.Objects++
	if r.record != nil {
		if err := r.record.Record(src, obj); err != nil {
			return err
		}
	}
	return r.batch.Add(obj)
}

// counter counts what is read, and tells that something is.
type counter struct {
	r     io.Reader
	n     int64
	alive func()
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.alive()
	return n, err
}
