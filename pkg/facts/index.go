package facts

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// index answers the questions that many checks ask, built once per snapshot.
type index struct {
	nodes      map[string]*corev1.Node
	podsByNode map[string][]*Pod
	podsByNS   map[string][]*Pod
	pods       map[string]*Pod
	podsByIP   map[string]*Pod
	services   map[string]*corev1.Service
	slices     map[string][]*discoveryv1.EndpointSlice
	configMaps map[string]*corev1.ConfigMap
	logged     map[string]bool // "namespace/pod" with at least one container read
}

func newIndex(s *Snapshot) index {
	x := index{
		nodes: map[string]*corev1.Node{}, podsByNode: map[string][]*Pod{}, podsByNS: map[string][]*Pod{},
		pods: map[string]*Pod{}, podsByIP: map[string]*Pod{}, services: map[string]*corev1.Service{},
		slices: map[string][]*discoveryv1.EndpointSlice{}, configMaps: map[string]*corev1.ConfigMap{}, logged: map[string]bool{},
	}
	for _, n := range s.Nodes {
		x.nodes[n.Name] = n
	}
	for _, p := range s.Pods {
		x.addPod(p)
	}
	for _, svc := range s.Services {
		x.services[svc.Namespace+"/"+svc.Name] = svc
	}
	for _, es := range s.EndpointSlices {
		if name := es.Labels[discoveryv1.LabelServiceName]; name != "" {
			key := es.Namespace + "/" + name
			x.slices[key] = append(x.slices[key], es)
		}
	}
	for _, cm := range s.ConfigMaps {
		x.configMaps[cm.Namespace+"/"+cm.Name] = cm
	}
	for key := range s.Logs {
		x.logged[key[:strings.LastIndexByte(key, '/')]] = true
	}
	return x
}

func (x *index) addPod(p *Pod) {
	x.pods[p.Namespace+"/"+p.Name] = p
	x.podsByNS[p.Namespace] = append(x.podsByNS[p.Namespace], p)
	if p.Node != "" {
		x.podsByNode[p.Node] = append(x.podsByNode[p.Node], p)
	}
	if p.HostNetwork || p.Finished() {
		return // its address is the node's, or no longer its own
	}
	for _, ip := range p.IPs {
		x.podsByIP[ip] = p
	}
}

// Node returns the node of that name, or nil.
func (s *Snapshot) Node(name string) *corev1.Node { return s.index.nodes[name] }

// Pod returns a pod, or nil.
func (s *Snapshot) Pod(namespace, name string) *Pod { return s.index.pods[namespace+"/"+name] }

// PodsOn returns the pods bound to a node.
func (s *Snapshot) PodsOn(node string) []*Pod { return s.index.podsByNode[node] }

// PodsIn returns the pods of a namespace.
func (s *Snapshot) PodsIn(namespace string) []*Pod { return s.index.podsByNS[namespace] }

// PodByIP returns the running pod that has this address of its own, or nil.
func (s *Snapshot) PodByIP(ip string) *Pod { return s.index.podsByIP[ip] }

// Service returns a Service, or nil.
func (s *Snapshot) Service(namespace, name string) *corev1.Service {
	return s.index.services[namespace+"/"+name]
}

// SlicesOf returns the EndpointSlices of a Service, whoever manages them.
func (s *Snapshot) SlicesOf(svc *corev1.Service) []*discoveryv1.EndpointSlice {
	return s.index.slices[svc.Namespace+"/"+svc.Name]
}

// ConfigMap returns a ConfigMap, or nil.
func (s *Snapshot) ConfigMap(namespace, name string) *corev1.ConfigMap {
	return s.index.configMaps[namespace+"/"+name]
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
	for _, p := range s.PodsIn(namespace) {
		if Matches(selector, p.Labels) {
			out = append(out, p)
		}
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

// ReadyEndpoints counts the endpoints of a Service that take traffic. A nil ready
// condition means ready (k8s.io/api/discovery/v1, EndpointConditions).
func (s *Snapshot) ReadyEndpoints(svc *corev1.Service) (ready, all int) {
	for _, es := range s.SlicesOf(svc) {
		for _, ep := range es.Endpoints {
			all++
			if ep.Conditions.Ready == nil || *ep.Conditions.Ready {
				ready++
			}
		}
	}
	return ready, all
}
