package facts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
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
		Logs: map[string]Log{}, Proxy: map[string]string{}, Gaps: map[string]string{},
		Configz: map[string]*kubeletv1beta1.KubeletConfiguration{}, Files: map[string]map[string]string{},
	}}
}

// Add takes an API object over; the caller must not change it afterwards, with one
// exception: see Batch.Add. Only what checks read is kept.
func (b *Builder) Add(obj any) error { return add(b.s, b.pool, obj) }

// Merge takes over what a batch holds.
func (b *Builder) Merge(batch *Batch) {
	s := &batch.s
	b.s.Pods = append(b.s.Pods, s.Pods...)
	b.s.Nodes = append(b.s.Nodes, s.Nodes...)
	b.s.Namespaces = append(b.s.Namespaces, s.Namespaces...)
	b.s.Services = append(b.s.Services, s.Services...)
	b.s.EndpointSlices = append(b.s.EndpointSlices, s.EndpointSlices...)
	b.s.ConfigMaps = append(b.s.ConfigMaps, s.ConfigMaps...)
	b.s.Events = append(b.s.Events, s.Events...)
	b.s.Deployments = append(b.s.Deployments, s.Deployments...)
	b.s.DaemonSets = append(b.s.DaemonSets, s.DaemonSets...)
	b.s.ServiceAccounts = append(b.s.ServiceAccounts, s.ServiceAccounts...)
	b.s.ClusterRoles = append(b.s.ClusterRoles, s.ClusterRoles...)
	b.s.ClusterRoleBindings = append(b.s.ClusterRoleBindings, s.ClusterRoleBindings...)
	b.s.NetworkPolicies = append(b.s.NetworkPolicies, s.NetworkPolicies...)
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
	case *Pod:
		s.Pods = append(s.Pods, o)
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
	switch o := obj.(type) {
	case *corev1.Node:
		s.Nodes = append(s.Nodes, o)
	case *corev1.Namespace:
		s.Namespaces = append(s.Namespaces, o)
	case *corev1.Service:
		s.Services = append(s.Services, o)
	case *corev1.ConfigMap:
		s.ConfigMaps = append(s.ConfigMaps, o)
	case *appsv1.Deployment:
		s.Deployments = append(s.Deployments, o)
	case *appsv1.DaemonSet:
		s.DaemonSets = append(s.DaemonSets, o)
	case *corev1.ServiceAccount:
		s.ServiceAccounts = append(s.ServiceAccounts, o)
	case *rbacv1.ClusterRole:
		s.ClusterRoles = append(s.ClusterRoles, o)
	case *rbacv1.ClusterRoleBinding:
		s.ClusterRoleBindings = append(s.ClusterRoleBindings, o)
	case *networkingv1.NetworkPolicy:
		s.NetworkPolicies = append(s.NetworkPolicies, o)
	default:
		return fmt.Errorf("no source holds objects of type %T", obj)
	}
	return nil
}

// New returns an empty API object of a source, ready to be decoded into, or nil for a
// source that does not consist of API objects.
func New(src *Source) runtime.Object {
	switch src {
	case Pods:
		return new(corev1.Pod)
	case Nodes:
		return new(corev1.Node)
	case Namespaces:
		return new(corev1.Namespace)
	case Services:
		return new(corev1.Service)
	case EndpointSlices:
		return new(discoveryv1.EndpointSlice)
	case ConfigMaps:
		return new(corev1.ConfigMap)
	case Events:
		return new(corev1.Event)
	case Deployments:
		return new(appsv1.Deployment)
	case DaemonSets:
		return new(appsv1.DaemonSet)
	case ServiceAccounts:
		return new(corev1.ServiceAccount)
	case ClusterRoles:
		return new(rbacv1.ClusterRole)
	case ClusterRoleBindings:
		return new(rbacv1.ClusterRoleBinding)
	case NetworkPolicies:
		return new(networkingv1.NetworkPolicy)
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

// AddConfigz records a kubelet's live configuration.
func (b *Builder) AddConfigz(node string, config *kubeletv1beta1.KubeletConfiguration) {
	b.s.Configz[node] = config
}

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
	s.index = newIndex(&s)
	return &s
}

// Scope records the one namespace that workloads were read from.
func (b *Builder) Scope(namespace string) { b.s.Scope = namespace }

// Build sorts what was collected, so that equal facts give equal snapshots in whatever
// order they came, and returns it. The builder is spent.
func (b *Builder) Build() *Snapshot {
	s := b.s
	sortPods(s.Pods)
	slices.SortFunc(s.EndpointSlices, func(x, y *EndpointSlice) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(s.Events, compareEvents)
	sortObjects(s.Nodes)
	sortObjects(s.Namespaces)
	sortObjects(s.Services)
	sortObjects(s.ConfigMaps)
	sortObjects(s.Deployments)
	sortObjects(s.DaemonSets)
	sortObjects(s.ServiceAccounts)
	sortObjects(s.ClusterRoles)
	sortObjects(s.ClusterRoleBindings)
	sortObjects(s.NetworkPolicies)
	s.index = newIndex(s)
	b.s = nil
	return s
}

func sortObjects[T metav1.Object](list []T) {
	slices.SortFunc(list, func(x, y T) int {
		return Ref{Namespace: x.GetNamespace(), Name: x.GetName()}.Compare(Ref{Namespace: y.GetNamespace(), Name: y.GetName()})
	})
}
