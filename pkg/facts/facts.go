// Package facts holds what is known about one cluster at one moment: the objects of
// its API, the logs and the answers of the programs that make up its network, and,
// just as important, what could not be read and why.
//
// A Snapshot is read-only once it is built. It comes from a live cluster (package
// gather) or from a bundle on disk (Load); nothing in this package talks to a cluster.
package facts

import (
	"errors"
	"fmt"
)

// Depth says how deep the user lets the doctor look. Each depth includes the ones
// before it.
type Depth int

// The depths, in the order of what they ask of the cluster.
const (
	API   Depth = iota // objects of the API server only
	Logs               // also container logs, kubelet /configz and pods' own endpoints
	Probe              // also short-lived pods that send traffic
	Host               // also files and command output of the nodes
)

func depthNames() []string { return []string{"api", "logs", "probe", "host"} }

// String returns the name that --depth takes.
func (d Depth) String() string {
	if names := depthNames(); d >= 0 && int(d) < len(names) {
		return names[d]
	}
	return fmt.Sprintf("depth(%d)", int(d))
}

// ParseDepth turns the value of --depth into a Depth.
func ParseDepth(name string) (Depth, error) {
	for i, n := range depthNames() {
		if n == name {
			return Depth(i), nil
		}
	}
	return API, errors.New("depth must be one of api, logs, probe, host")
}

// Source is a kind of fact that can be read, or be missing.
//
// Name is the plural resource name for API objects. Group, Version and Kind are set
// for those alone; Namespaced says where their lists stand in a bundle.
type Source struct {
	Name       string
	Depth      Depth
	Group      string
	Version    string
	Kind       string
	Namespaced bool

	// Whole is set for the part of a source that lies in the system namespaces: it is the
	// source that this is a part of. Where the whole was read, so was the part.
	Whole *Source

	// Addon tells that a cluster may lack the API, as older ones and those without an
	// extension do: then there are no such objects.
	Addon bool

	// Later tells that the first releases did not know of the source, so that a bundle may
	// say nothing of it.
	Later bool
}

// Object tells whether the source consists of API objects.
func (s *Source) Object() bool { return s.Kind != "" }

// String returns the source's name, and for a part which.
func (s *Source) String() string {
	if s.Whole != nil {
		return s.Name + " of system namespaces"
	}
	return s.Name
}

// All returns the source that this one is a part of, or itself.
func (s *Source) All() *Source {
	if s.Whole != nil {
		return s.Whole
	}
	return s
}

// The sources that a Snapshot can hold.
var (
	Nodes               = &Source{Name: "nodes", Version: "v1", Kind: "Node"}
	Namespaces          = &Source{Name: "namespaces", Version: "v1", Kind: "Namespace"}
	Pods                = &Source{Name: "pods", Version: "v1", Kind: "Pod", Namespaced: true}
	Services            = &Source{Name: "services", Version: "v1", Kind: "Service", Namespaced: true}
	EndpointSlices      = &Source{Name: "endpointslices", Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice", Namespaced: true}
	ConfigMaps          = &Source{Name: "configmaps", Version: "v1", Kind: "ConfigMap", Namespaced: true}
	Events              = &Source{Name: "events", Version: "v1", Kind: "Event", Namespaced: true}
	Deployments         = &Source{Name: "deployments", Group: "apps", Version: "v1", Kind: "Deployment", Namespaced: true}
	DaemonSets          = &Source{Name: "daemonsets", Group: "apps", Version: "v1", Kind: "DaemonSet", Namespaced: true}
	ServiceAccounts     = &Source{Name: "serviceaccounts", Version: "v1", Kind: "ServiceAccount", Namespaced: true}
	ClusterRoles        = &Source{Name: "clusterroles", Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}
	ClusterRoleBindings = &Source{Name: "clusterrolebindings", Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"}
	NetworkPolicies     = &Source{Name: "networkpolicies", Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy", Namespaced: true, Later: true}
	StatefulSets        = &Source{Name: "statefulsets", Group: "apps", Version: "v1", Kind: "StatefulSet", Namespaced: true, Later: true}
	Ingresses           = &Source{Name: "ingresses", Group: "networking.k8s.io", Version: "v1", Kind: "Ingress", Namespaced: true, Later: true}
	HTTPRoutes          = &Source{Name: "httproutes", Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute", Namespaced: true, Addon: true, Later: true}
	ServiceCIDRs        = &Source{Name: "servicecidrs", Group: "networking.k8s.io", Version: "v1", Kind: "ServiceCIDR", Addon: true, Later: true} // GA in 1.33
	APIServices         = &Source{Name: "apiservices", Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService", Later: true}
	ValidatingWebhooks  = &Source{Name: "validatingwebhookconfigurations", Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingWebhookConfiguration", Later: true}
	MutatingWebhooks    = &Source{Name: "mutatingwebhookconfigurations", Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration", Later: true}

	PodLogs = &Source{Name: "logs", Depth: Logs}                 // current and previous container logs
	Proxy   = &Source{Name: "proxy", Depth: Logs}                // bodies of GETs through pods/proxy
	Metrics = &Source{Name: "metrics", Depth: Logs, Later: true} // cluster DNS's metrics, read twice
	Configz = &Source{Name: "configz", Depth: Logs}              // the kubelets' live configuration
	Answers = &Source{Name: "answers", Depth: Logs, Later: true} // what each pod of cluster DNS answers, asked through a port-forward
	Tries   = &Source{Name: "probe", Depth: Probe, Later: true}  // what pods made for it tried: DNS, TCP, UDP, packet sizes
	Files   = &Source{Name: "host", Depth: Host}                 // files and command output of the nodes
)

// The parts of sources that lie in the system namespaces. A check that asks for no more
// spares the API server the pods of all applications.
var (
	SystemPods            = system(Pods)
	SystemServices        = system(Services)
	SystemEndpointSlices  = system(EndpointSlices)
	SystemEvents          = system(Events)
	SystemDeployments     = system(Deployments)
	SystemDaemonSets      = system(DaemonSets)
	SystemServiceAccounts = system(ServiceAccounts)
)

func system(whole *Source) *Source {
	part := *whole
	part.Whole = whole
	return &part
}

// Sources lists every source, API objects first, without the parts.
func Sources() []*Source {
	return []*Source{Nodes, Namespaces, Pods, Services, EndpointSlices, ConfigMaps, Events, Deployments,
		DaemonSets, ServiceAccounts, ClusterRoles, ClusterRoleBindings, NetworkPolicies, StatefulSets, Ingresses,
		HTTPRoutes, ServiceCIDRs, APIServices, ValidatingWebhooks, MutatingWebhooks, PodLogs, Proxy, Metrics, Configz, Answers, Tries, Files}
}

func sourceNamed(name string) *Source {
	for _, s := range Sources() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func sourceOfKind(kind string) *Source {
	for _, s := range Sources() {
		if s.Object() && s.Kind == kind {
			return s
		}
	}
	return nil
}
