package facts

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// EndpointSlice is an EndpointSlice in the compact form that checks read.
type EndpointSlice struct {
	Namespace, Name string

	Service   string // the label kubernetes.io/service-name
	ManagedBy string // the label endpointslice.kubernetes.io/managed-by
	Ports     []discoveryv1.EndpointPort
	Endpoints []Endpoint

	// Whole is the slice as the cluster has it, of those that somebody put beside that of
	// the API servers. Nil of all others, and where it was not read whole.
	Whole *discoveryv1.EndpointSlice
}

// Endpoint is one endpoint of a slice.
type Endpoint struct {
	Address     string // the first one; kube-proxy uses no other
	Ready       bool   // also where the condition is not set (k8s.io/api/discovery/v1, EndpointConditions)
	Terminating bool
	Node        string
	Pod         string // behind it, in the slice's namespace; empty where none is named
}

// Ref names the slice.
func (e *EndpointSlice) Ref() Ref {
	return Ref{Kind: "EndpointSlice", Namespace: e.Namespace, Name: e.Name}
}

// SlicesOf returns the EndpointSlices of a Service, whoever manages them.
func (s *Snapshot) SlicesOf(svc *corev1.Service) []*EndpointSlice {
	return s.index.slices[name{svc.Namespace, svc.Name}]
}

// ReadyEndpoints counts the endpoints of a Service that take traffic, and all of them.
func (s *Snapshot) ReadyEndpoints(svc *corev1.Service) (ready, all int) {
	for _, es := range s.SlicesOf(svc) {
		for i := range es.Endpoints {
			all++
			if es.Endpoints[i].Ready {
				ready++
			}
		}
	}
	return ready, all
}
