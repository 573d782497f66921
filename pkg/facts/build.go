package facts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
)

// Builder collects facts and makes a Snapshot of them. It is not safe for concurrent
// use.
type Builder struct {
	s    *Snapshot
	pool *pool
}

// NewBuilder starts a snapshot taken at this moment and this depth.
func NewBuilder(taken time.Time, server string, depth Depth) *Builder {
	return &Builder{pool: newPool(), s: &Snapshot{
		Taken: taken, Server: server, Depth: depth,
		Logs: map[string]Log{}, Proxy: map[string]string{}, Metrics: map[string][]Scrape{}, Gaps: map[string]string{},
		Configz: map[string]*kubeletv1beta1.KubeletConfiguration{}, Files: map[string]map[string]string{},
	}}
}

// Extend starts from a snapshot, to add what was looked at after it. The snapshot itself
// stays as it is.
func Extend(s *Snapshot) *Builder {
	out := *s
	out.Gaps, out.Sampled = maps.Clone(s.Gaps), maps.Clone(s.Sampled)
	out.Answers, out.Tries = slices.Clone(s.Answers), slices.Clone(s.Tries)
	out.Files = make(map[string]map[string]string, len(s.Files))
	for node, files := range s.Files {
		out.Files[node] = maps.Clone(files)
	}
	return &Builder{pool: newPool(), s: &out}
}

// Read records that a source was looked at: from now on only parts of it may be missing.
func (b *Builder) Read(src *Source) { delete(b.s.Gaps, src.Name) }

// Add takes an API object over; the caller must not change it afterwards, with one
// exception: see Batch.Add. Only what checks read is kept.
func (b *Builder) Add(obj any) error { return add(b.s, b.pool, obj) }

// Merge takes over what a batch holds.
func (b *Builder) Merge(batch *Batch) {
	for _, l := range lists {
		l.merge(b.s, &batch.s)
	}
}

// Batch collects the objects of one list while it arrives, until it is known whether
// the list is whole. It is not safe for concurrent use; several batches are.
type Batch struct {
	s    Snapshot
	pool *pool
}

// NewBatch returns an empty batch.
func NewBatch() *Batch { return &Batch{pool: newPool()} }

// Add takes an object over, as Builder.Add does. Of a Pod, an EndpointSlice or an Event
// only values are kept: the caller may Reset it and decode the next one into it.
func (b *Batch) Add(obj any) error { return add(&b.s, b.pool, obj) }

func add(s *Snapshot, p *pool, obj any) error {
	switch o := obj.(type) {
	case *corev1.Pod:
		s.Pods = append(s.Pods, p.pod(o))
	case *discoveryv1.EndpointSlice:
		s.EndpointSlices = append(s.EndpointSlices, p.endpointSlice(o))
	case *corev1.Event:
		s.Events = append(s.Events, p.event(o))
	default:
		return addWhole(s, p, obj)
	}
	return nil
}

// addWhole takes objects that keep their API form, without what no check reads.
func addWhole(s *Snapshot, p *pool, obj any) error {
	if m, ok := obj.(metav1.Object); ok {
		p.trim(m)
	}
	for _, l := range lists {
		if l.take(s, obj) {
			return nil
		}
	}
	return fmt.Errorf("no source holds objects of type %T", obj)
}

// New returns an empty API object of a source, ready to be decoded into, or nil for a
// source that does not consist of API objects.
func New(src *Source) runtime.Object {
	if l, found := lists[src]; found {
		return l.blank()
	}
	return nil
}

// AddLog records what a container wrote.
func (b *Builder) AddLog(namespace, pod, container string, log Log) {
	b.s.Logs[namespace+"/"+pod+"/"+container] = log
}

// AddProxy records the body that a pod answered with on a port and path.
func (b *Builder) AddProxy(namespace, pod, port, path, body string) {
	b.s.Proxy[strings.Join([]string{namespace, pod, port, strings.TrimPrefix(path, "/")}, "/")] = body
}

// AddMetrics records what a pod answered on /metrics at a time, which is kept to the
// millisecond.
func (b *Builder) AddMetrics(namespace, pod string, scrape Scrape) {
	scrape.At = scrape.At.UTC().Truncate(time.Millisecond)
	key := namespace + "/" + pod
	b.s.Metrics[key] = append(b.s.Metrics[key], scrape)
	slices.SortFunc(b.s.Metrics[key], func(x, y Scrape) int { return x.At.Compare(y.At) })
}

// AddConfigz records a kubelet's live configuration.
func (b *Builder) AddConfigz(node string, config *kubeletv1beta1.KubeletConfiguration) {
	b.s.Configz[node] = config
}

// AddAnswer records what a pod of cluster DNS answered.
func (b *Builder) AddAnswer(a Answer) { b.s.Answers = append(b.s.Answers, a) }

// AddTries records what a probe pod tried.
func (b *Builder) AddTries(tries ...Try) { b.s.Tries = append(b.s.Tries, tries...) }

// AddFile records a file of a node; path is absolute.
func (b *Builder) AddFile(node, path, content string) {
	if b.s.Files[node] == nil {
		b.s.Files[node] = map[string]string{}
	}
	b.s.Files[node][path] = content
}

// noReason stands where nobody said why: an empty reason would mean that it was read.
const noReason = "not read, for a reason that is not given"

// Gap records why a source (part empty) or a part of it could not be read.
func (b *Builder) Gap(src *Source, part, why string) {
	key := src.Name
	if part != "" {
		key += "/" + part
	}
	b.s.Gaps[key] = cmp.Or(why, noReason)
}

// SystemOnly records that of a source only the part in the system namespaces was read.
func (b *Builder) SystemOnly(part *Source) {
	if b.s.SystemOnly == nil {
		b.s.SystemOnly = map[string]bool{}
	}
	b.s.SystemOnly[part.Name] = true
	b.Gap(part, "", "not asked for outside the system namespaces")
}

// Sampled records how many objects were asked for their part of a source. Where all were,
// there is nothing to say.
func (b *Builder) Sampled(src *Source, asked, of int) {
	if asked == of {
		return
	}
	if b.s.Sampled == nil {
		b.s.Sampled = map[string]Sample{}
	}
	b.s.Sampled[src.Name] = Sample{asked, of}
}

// Forget takes back what was read of a source, so that it can be read anew.
func (b *Builder) Forget(src *Source) {
	b.s.drop(src.All())
	delete(b.s.Gaps, src.Name)
	delete(b.s.SystemOnly, src.Name)
}

// Interim returns the snapshot as it stands, indexed, so that a gatherer can decide
// what to read next. The builder goes on, and what it records by key from then on does
// not reach this copy.
func (b *Builder) Interim() *Snapshot {
	s := *b.s
	s.Pods = slices.Clone(s.Pods)
	sortPods(s.Pods)
	s.SystemOnly = maps.Clone(s.SystemOnly)
	s.Gaps, s.Logs, s.Proxy, s.Configz = maps.Clone(s.Gaps), maps.Clone(s.Logs), maps.Clone(s.Proxy), maps.Clone(s.Configz)
	s.Metrics = maps.Clone(s.Metrics)
	s.index = newIndex(&s)
	return &s
}

// Scope records the one namespace that workloads were read from.
func (b *Builder) Scope(namespace string) { b.s.Scope = namespace }

// Build sorts what was collected, so that equal facts give equal snapshots in whatever
// order they came, and returns it. The builder is spent.
func (b *Builder) Build() *Snapshot {
	s := b.s
	for _, l := range lists {
		l.sort(s)
	}
	slices.SortStableFunc(s.Answers, func(x, y Answer) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Pod, y.Pod), cmp.Compare(x.Name, y.Name))
	})
	slices.SortStableFunc(s.Tries, func(x, y Try) int {
		return cmp.Or(cmp.Compare(x.Node, y.Node), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ToNode, y.ToNode), cmp.Compare(x.To, y.To), cmp.Compare(x.Name, y.Name))
	})
	s.index = newIndex(s)
	b.s = nil
	return s
}
