package facts

import (
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// list says how a Snapshot holds the objects of a source.
type list struct {
	blank  func() runtime.Object // what one is decoded into
	take   func(s *Snapshot, obj any) bool
	count  func(s *Snapshot) int
	drop   func(s *Snapshot)
	merge  func(into, from *Snapshot)
	sort   func(s *Snapshot)
	within func(into, from *Snapshot, namespaces []string) // takes over those in these namespaces
	named  func(s *Snapshot, r Ref) metav1.Object          // nil where the form of the API is not kept
}

// lists has an entry for every source of API objects.
var lists = map[*Source]list{
	Pods:           compact(func(s *Snapshot) *[]*Pod { return &s.Pods }, new(corev1.Pod), comparePods, func(p *Pod) string { return p.Namespace }),
	EndpointSlices: compact(func(s *Snapshot) *[]*EndpointSlice { return &s.EndpointSlices }, new(discoveryv1.EndpointSlice), func(x, y *EndpointSlice) int { return x.Ref().Compare(y.Ref()) }, func(e *EndpointSlice) string { return e.Namespace }),
	Events:         compact(func(s *Snapshot) *[]*Event { return &s.Events }, new(corev1.Event), compareEvents, func(e *Event) string { return e.Namespace }),

	Nodes:               whole(func(s *Snapshot) *[]*corev1.Node { return &s.Nodes }),
	Namespaces:          whole(func(s *Snapshot) *[]*corev1.Namespace { return &s.Namespaces }),
	Services:            whole(func(s *Snapshot) *[]*corev1.Service { return &s.Services }),
	ConfigMaps:          whole(func(s *Snapshot) *[]*corev1.ConfigMap { return &s.ConfigMaps }),
	Deployments:         whole(func(s *Snapshot) *[]*appsv1.Deployment { return &s.Deployments }),
	DaemonSets:          whole(func(s *Snapshot) *[]*appsv1.DaemonSet { return &s.DaemonSets }),
	ServiceAccounts:     whole(func(s *Snapshot) *[]*corev1.ServiceAccount { return &s.ServiceAccounts }),
	ClusterRoles:        whole(func(s *Snapshot) *[]*rbacv1.ClusterRole { return &s.ClusterRoles }),
	ClusterRoleBindings: whole(func(s *Snapshot) *[]*rbacv1.ClusterRoleBinding { return &s.ClusterRoleBindings }),
	NetworkPolicies:     whole(func(s *Snapshot) *[]*networkingv1.NetworkPolicy { return &s.NetworkPolicies }),
	StatefulSets:        whole(func(s *Snapshot) *[]*appsv1.StatefulSet { return &s.StatefulSets }),
	Ingresses:           whole(func(s *Snapshot) *[]*networkingv1.Ingress { return &s.Ingresses }),
	HTTPRoutes:          whole(func(s *Snapshot) *[]*gatewayv1.HTTPRoute { return &s.HTTPRoutes }),
	ServiceCIDRs:        whole(func(s *Snapshot) *[]*networkingv1.ServiceCIDR { return &s.ServiceCIDRs }),
	APIServices:         whole(func(s *Snapshot) *[]*apiregistrationv1.APIService { return &s.APIServices }),
	ValidatingWebhooks:  whole(func(s *Snapshot) *[]*admissionv1.ValidatingWebhookConfiguration { return &s.ValidatingWebhooks }),
	MutatingWebhooks:    whole(func(s *Snapshot) *[]*admissionv1.MutatingWebhookConfiguration { return &s.MutatingWebhooks }),
}

// compact is the list of a source whose objects are kept in a form of their own, which
// add makes of them.
func compact[T any](field func(*Snapshot) *[]T, blank runtime.Object, compare func(x, y T) int, namespace func(T) string) list {
	return list{
		blank:  blank.DeepCopyObject,
		take:   taker(field),
		count:  func(s *Snapshot) int { return len(*field(s)) },
		drop:   func(s *Snapshot) { *field(s) = nil },
		merge:  merger(field),
		sort:   func(s *Snapshot) { slices.SortFunc(*field(s), compare) },
		within: narrower(field, namespace),
	}
}

// whole is the list of a source whose objects keep their API form.
func whole[O any, T interface {
	*O
	metav1.Object
	runtime.Object
}](field func(*Snapshot) *[]T) list {
	compare := func(x, y T) int {
		return Ref{Namespace: x.GetNamespace(), Name: x.GetName()}.Compare(Ref{Namespace: y.GetNamespace(), Name: y.GetName()})
	}
	return list{
		blank:  func() runtime.Object { return T(new(O)) },
		take:   taker(field),
		count:  func(s *Snapshot) int { return len(*field(s)) },
		drop:   func(s *Snapshot) { *field(s) = nil },
		merge:  merger(field),
		sort:   func(s *Snapshot) { slices.SortFunc(*field(s), compare) },
		within: narrower(field, func(o T) string { return o.GetNamespace() }),
		named:  finder(field),
	}
}

// Object returns the object that a reference names, in the form of the API, or nil: also
// where its kind was not read, or is kept in a form of its own, as Pods are. Nothing of it may
// be changed.
func (s *Snapshot) Object(r Ref) metav1.Object {
	of := lists[sourceOfKind(r.Kind)]
	if of.named == nil {
		return nil
	}
	return of.named(s, r)
}

func finder[T metav1.Object](field func(*Snapshot) *[]T) func(*Snapshot, Ref) metav1.Object {
	return func(s *Snapshot, r Ref) metav1.Object {
		for _, o := range *field(s) {
			if o.GetNamespace() == r.Namespace && o.GetName() == r.Name {
				return o
			}
		}
		return nil
	}
}

func taker[T any](field func(*Snapshot) *[]T) func(*Snapshot, any) bool {
	return func(s *Snapshot, obj any) bool {
		o, ok := obj.(T)
		if ok {
			*field(s) = append(*field(s), o)
		}
		return ok
	}
}

func merger[T any](field func(*Snapshot) *[]T) func(into, from *Snapshot) {
	return func(into, from *Snapshot) { *field(into) = append(*field(into), *field(from)...) }
}

func narrower[T any](field func(*Snapshot) *[]T, namespace func(T) string) func(into, from *Snapshot, namespaces []string) {
	return func(into, from *Snapshot, namespaces []string) {
		*field(into) = slices.DeleteFunc(slices.Clone(*field(from)), func(o T) bool { return !slices.Contains(namespaces, namespace(o)) })
	}
}
