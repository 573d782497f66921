package facts

import (
	"cmp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// name is a namespace and a name in it.
type name struct{ namespace, name string }

// index answers the questions that many checks ask, built once per snapshot.
type index struct {
	nodes      map[string]*corev1.Node
	podsByNode map[string][]*Pod
	alike      map[string][]alike // pods by namespace
	services   map[name]*corev1.Service
	slices     map[name][]*EndpointSlice
	configMaps map[name]*corev1.ConfigMap
	warnings   map[Ref]*Event      // the newest about each object
	events     map[string][]*Event // by reason
	logged     map[string]bool     // "namespace/pod" with at least one container read
	answers    map[string][]Answer // by "namespace/pod"
}

// alike is the pods of a namespace that share a template: a selector picks all or none.
type alike struct {
	of   *Template
	pods []*Pod
}

// newIndex expects the pods in order.
func newIndex(s *Snapshot) index {
	x := index{
		nodes: make(map[string]*corev1.Node, len(s.Nodes)), podsByNode: make(map[string][]*Pod, len(s.Nodes)),
		services: make(map[name]*corev1.Service, len(s.Services)), slices: make(map[name][]*EndpointSlice, len(s.Services)),
		configMaps: map[name]*corev1.ConfigMap{}, warnings: map[Ref]*Event{}, events: map[string][]*Event{}, logged: map[string]bool{},
		answers: map[string][]Answer{},
	}
	for _, n := range s.Nodes {
		x.nodes[n.Name] = n
	}
	x.addPods(s.Pods)
	x.addAlike(s.Pods)
	for _, svc := range s.Services {
		x.services[name{svc.Namespace, svc.Name}] = svc
	}
	for _, es := range s.EndpointSlices {
		if es.Service != "" {
			of := name{es.Namespace, es.Service}
			x.slices[of] = append(x.slices[of], es)
		}
	}
	for _, cm := range s.ConfigMaps {
		x.configMaps[name{cm.Namespace, cm.Name}] = cm
	}
	for _, e := range s.Events {
		x.events[e.Reason] = append(x.events[e.Reason], e)
		if e.Type == corev1.EventTypeWarning && (x.warnings[e.About] == nil || e.Seen > x.warnings[e.About].Seen) {
			x.warnings[e.About] = e
		}
	}
	for key := range s.Logs {
		x.logged[key[:strings.LastIndexByte(key, '/')]] = true
	}
	for _, a := range s.Answers {
		of := a.Namespace + "/" + a.Pod
		x.answers[of] = append(x.answers[of], a)
	}
	return x
}

// addPods hands out parts of one list, each of the length that it comes to have.
func (x *index) addPods(pods []*Pod) {
	count, placed := make(map[string]int, len(x.nodes)), 0
	for _, p := range pods {
		if p.Node != "" {
			count[p.Node]++
			placed++
		}
	}
	room := make([]*Pod, placed)
	for _, p := range pods {
		if p.Node == "" {
			continue
		}
		on, known := x.podsByNode[p.Node]
		if !known {
			n := count[p.Node]
			on, room = room[:0:n], room[n:]
		}
		x.podsByNode[p.Node] = append(on, p)
	}
}

// addAlike groups the pods. Those of one template mostly follow each other, since they are
// called after their owner, and then share the list's own memory.
func (x *index) addAlike(pods []*Pod) {
	x.alike = map[string][]alike{}
	known := map[*Template]int{}
	for i := 0; i < len(pods); {
		first := i
		for i < len(pods) && pods[i].Namespace == pods[first].Namespace && pods[i].Template == pods[first].Template {
			i++
		}
		ns := pods[first].Namespace
		if first == 0 || pods[first-1].Namespace != ns {
			clear(known)
		}
		if at, again := known[pods[first].Template]; again {
			x.alike[ns][at].pods = append(x.alike[ns][at].pods, pods[first:i]...)
			continue
		}
		known[pods[first].Template] = len(x.alike[ns])
		x.alike[ns] = append(x.alike[ns], alike{pods[first].Template, pods[first:i:i]})
	}
}

// Node returns the node of that name, or nil.
func (s *Snapshot) Node(name string) *corev1.Node { return s.index.nodes[name] }

// Pod returns a pod, or nil.
func (s *Snapshot) Pod(namespace, name string) *Pod {
	i, found := slices.BinarySearchFunc(s.Pods, Ref{Namespace: namespace, Name: name}, comparePod)
	if !found {
		return nil
	}
	return s.Pods[i]
}

// PodsOn returns the pods bound to a node.
func (s *Snapshot) PodsOn(node string) []*Pod { return s.index.podsByNode[node] }

// PodsIn returns the pods of a namespace. The caller must not change the list.
func (s *Snapshot) PodsIn(namespace string) []*Pod {
	from, _ := slices.BinarySearchFunc(s.Pods, Ref{Namespace: namespace}, comparePod)
	n, _ := slices.BinarySearchFunc(s.Pods[from:], namespace, func(p *Pod, ns string) int {
		if p.Namespace == ns {
			return -1
		}
		return 1
	})
	return s.Pods[from : from+n : from+n]
}

// comparePod orders a pod by namespace and name, which is how Snapshot.Pods stand.
func comparePod(p *Pod, to Ref) int {
	return cmp.Or(strings.Compare(p.Namespace, to.Namespace), strings.Compare(p.Name, to.Name))
}

func comparePods(x, y *Pod) int { return comparePod(x, Ref{Namespace: y.Namespace, Name: y.Name}) }

func sortPods(pods []*Pod) {
	slices.SortFunc(pods, comparePods)
}

// Service returns a Service, or nil.
func (s *Snapshot) Service(namespace, of string) *corev1.Service {
	return s.index.services[name{namespace, of}]
}

// ConfigMap returns a ConfigMap, or nil.
func (s *Snapshot) ConfigMap(namespace, of string) *corev1.ConfigMap {
	return s.index.configMaps[name{namespace, of}]
}

// Deployment returns a Deployment, or nil.
func (s *Snapshot) Deployment(namespace, name string) *appsv1.Deployment {
	i := slices.IndexFunc(s.Deployments, func(d *appsv1.Deployment) bool { return d.Namespace == namespace && d.Name == name })
	if i < 0 {
		return nil
	}
	return s.Deployments[i]
}

// Selected returns the pods of a namespace that a Service's selector picks. An empty
// selector picks none: the API leaves such Services' endpoints to others.
func (s *Snapshot) Selected(namespace string, selector map[string]string) []*Pod {
	if len(selector) == 0 {
		return nil
	}
	var out []*Pod
	groups := 0
	for _, a := range s.index.alike[namespace] {
		if a.of != nil && Matches(selector, a.of.Labels) {
			out = append(out, a.pods...)
			groups++
		}
	}
	if groups > 1 {
		sortPods(out)
	}
	return out
}

// Matches tells whether labels carry every key and value of the selector.
func Matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
