package facts

import (
	"cmp"
	"strings"
)

// Ref names one object of the cluster. Namespace is empty for what has none.
//
// Two kinds are not API objects: Cluster, on which everything stands, and ClusterDNS,
// the promise that names resolve.
type Ref struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Cluster is the whole cluster as a subject.
func Cluster() Ref { return Ref{Kind: "Cluster", Name: "cluster"} }

// ClusterDNS is the resolution of cluster names as a subject.
func ClusterDNS() Ref { return Ref{Kind: "ClusterDNS", Name: "cluster-dns"} }

// NodeRef names a node.
func NodeRef(name string) Ref { return Ref{Kind: "Node", Name: name} }

// Key returns "namespace/name", or the name alone where there is no namespace.
func (r Ref) Key() string {
	if r.Namespace == "" {
		return r.Name
	}
	return r.Namespace + "/" + r.Name
}

// Path returns "Kind/namespace/name", the form that --ignore takes.
func (r Ref) Path() string { return r.Kind + "/" + r.Key() }

// String returns the reference as people write it: "Pod kube-system/coredns-x".
func (r Ref) String() string {
	switch r {
	case Cluster():
		return "the cluster"
	case ClusterDNS():
		return "cluster DNS"
	}
	if r.Kind == SettingKind {
		return settingWords(r.Name)
	}
	return r.Kind + " " + r.Key()
}

// ParseRef reads the form that Path writes.
func ParseRef(path string) Ref {
	kind, key, _ := strings.Cut(path, "/")
	ns, name, found := strings.Cut(key, "/")
	if !found {
		return Ref{Kind: kind, Name: ns}
	}
	return Ref{Kind: kind, Namespace: ns, Name: name}
}

// Compare orders references by kind, namespace and name.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(strings.Compare(r.Kind, o.Kind), strings.Compare(r.Namespace, o.Namespace), strings.Compare(r.Name, o.Name))
}
