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
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
)

// Builder collects facts and makes a Snapshot of them. It is not safe for concurrent
// use.
type Builder struct{ s *Snapshot }

// NewBuilder starts a snapshot taken at this moment and this depth.
func NewBuilder(taken time.Time, server string, depth Depth) *Builder {
	return &Builder{s: &Snapshot{
		Taken: taken, Server: server, Depth: depth,
		Logs: map[string]Log{}, Proxy: map[string]string{}, Gaps: map[string]string{},
		Configz: map[string]*kubeletv1beta1.KubeletConfiguration{}, Files: map[string]map[string]string{},
	}}
}

// Add takes an API object over; the caller must not change it afterwards. Pods are
// kept in their compact form, everything else without managedFields.
func (b *Builder) Add(obj any) error {
	if m, ok := obj.(metav1.Object); ok {
		m.SetManagedFields(nil)
	}
	switch o := obj.(type) {
	case *corev1.Pod:
		b.s.Pods = append(b.s.Pods, Compact(o))
	case *Pod:
		b.s.Pods = append(b.s.Pods, o)
	case *corev1.Node:
		b.s.Nodes = append(b.s.Nodes, o)
	case *corev1.Namespace:
		b.s.Namespaces = append(b.s.Namespaces, o)
	case *corev1.Service:
		b.s.Services = append(b.s.Services, o)
	case *discoveryv1.EndpointSlice:
		b.s.EndpointSlices = append(b.s.EndpointSlices, o)
	case *corev1.ConfigMap:
		b.s.ConfigMaps = append(b.s.ConfigMaps, o)
	case *corev1.Event:
		b.s.Events = append(b.s.Events, o)
	case *appsv1.Deployment:
		b.s.Deployments = append(b.s.Deployments, o)
	case *appsv1.DaemonSet:
		b.s.DaemonSets = append(b.s.DaemonSets, o)
	case *corev1.ServiceAccount:
		b.s.ServiceAccounts = append(b.s.ServiceAccounts, o)
	case *rbacv1.ClusterRole:
		b.s.ClusterRoles = append(b.s.ClusterRoles, o)
	case *rbacv1.ClusterRoleBinding:
		b.s.ClusterRoleBindings = append(b.s.ClusterRoleBindings, o)
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

// Interim returns the snapshot as it stands, indexed, so that a gatherer can decide
// what to read next. The builder goes on, and what it records by key from then on does
// not reach this copy.
func (b *Builder) Interim() *Snapshot {
	s := *b.s
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
	slices.SortFunc(s.Pods, func(x, y *Pod) int { return x.Ref().Compare(y.Ref()) })
	sortObjects(s.Nodes)
	sortObjects(s.Namespaces)
	sortObjects(s.Services)
	sortObjects(s.EndpointSlices)
	sortObjects(s.ConfigMaps)
	sortObjects(s.Events)
	sortObjects(s.Deployments)
	sortObjects(s.DaemonSets)
	sortObjects(s.ServiceAccounts)
	sortObjects(s.ClusterRoles)
	sortObjects(s.ClusterRoleBindings)
	s.index = newIndex(s)
	b.s = nil
	return s
}

func sortObjects[T metav1.Object](list []T) {
	slices.SortFunc(list, func(x, y T) int {
		return Ref{Namespace: x.GetNamespace(), Name: x.GetName()}.Compare(Ref{Namespace: y.GetNamespace(), Name: y.GetName()})
	})
}
