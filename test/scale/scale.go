// Package scale makes the objects of a large cluster, in which three things are wrong
// and all else is well, and writes them into the etcd of a control plane of test/lab as
// its API server would store them. Nothing in it is random: the object with a given
// number is the same in every cluster of the same size.
package scale

import (
	"fmt"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Size is how large a cluster is. Pods are those of applications; kube-proxy and the
// network plugin have one more each on every node.
type Size struct{ Nodes, Pods, Services, Events int }

// For returns a size in the proportions of clusters at the limits of Kubernetes: 30
// pods on a node, 15 behind a Service.
// Source: https://kubernetes.io/docs/setup/best-practices/cluster-large/
func For(pods int) Size {
	return Size{Nodes: max(2, pods/30), Pods: pods, Services: max(2, pods/15), Events: pods * 2 / 15}
}

// Object is what can be stored.
type Object interface {
	runtime.Object
	metav1.Object
}

// Cluster is the objects of a cluster, by number.
type Cluster struct {
	size   Size
	now    time.Time
	made   metav1.Time // of every object, a day before now
	system system
	app    *corev1.Pod
	groups []group
	fields shapes
}

// group is objects of one kind, by number.
type group struct {
	n    int
	make func(i int) Object
}

// New returns a cluster whose network stack is that of healthy, a bundle of a healthy
// cluster as test/clusters has it. Its objects are a day old at the given time.
func New(healthy fs.FS, size Size, now time.Time) (*Cluster, error) {
	if err := size.check(); err != nil {
		return nil, err
	}
	app, err := decode[*corev1.Pod](appYAML)
	if err != nil {
		return nil, fmt.Errorf("app.yaml: %w", err)
	}
	sys, err := readSystem(healthy)
	if err != nil {
		return nil, err
	}
	c := &Cluster{size: size, now: now, made: metav1.NewTime(now.Add(-24 * time.Hour).Truncate(time.Second)), system: sys, app: app}
	c.groups = []group{
		{c.namespaces(), c.namespace},
		{c.namespaces(), c.serviceAccount},
		{size.Services, c.address}, // the API server must know them when it learns of the Services
		{size.Nodes, c.node},
		{len(sys.others), c.other},
		{size.Services, c.service},
		{size.Services, c.slice},
		{size.Nodes, c.proxyPod},
		{size.Nodes, c.pluginPod},
		{dnsPods, c.dnsPod},
		{size.Pods, c.pod},
		{size.Events, c.event},
	}
	return c, nil
}

// check refuses what would bring about more than the three faults.
func (s Size) check() error {
	switch {
	case s.Nodes < 2:
		return fmt.Errorf("%d nodes: at least 2 are needed", s.Nodes)
	case s.Services < 2 || s.Services > maxServices:
		return fmt.Errorf("%d Services: 2 to %d are possible", s.Services, maxServices)
	case s.Pods < s.Services:
		return fmt.Errorf("%d pods are too few for %d Services", s.Pods, s.Services)
	case s.slots() > maxSlots:
		return fmt.Errorf("%d pods are too many for %d nodes", s.Pods, s.Nodes)
	case s.Nodes > maxNodes:
		return fmt.Errorf("%d nodes are too many for addresses in 10.128.0.0/9", s.Nodes)
	}
	return nil
}

// Len is how many objects there are.
func (c *Cluster) Len() int {
	n := 0
	for _, g := range c.groups {
		n += g.n
	}
	return n
}

// Object makes the object with a number below Len. An object comes after those that it
// refers to by name.
func (c *Cluster) Object(i int) Object {
	for _, g := range c.groups {
		if i < g.n {
			return g.make(i)
		}
		i -= g.n
	}
	panic(fmt.Sprintf("there is no object %d", i))
}
