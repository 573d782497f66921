package facts

import (
	"maps"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Snapshot is everything known about one cluster at one moment. It is read-only: a
// check that changes it is refused by checktest.
type Snapshot struct {
	Taken  time.Time
	Server string // the API server's version, such as v1.37.2; empty where unknown
	Depth  Depth  // how deep was looked
	Scope  string // the one namespace that workloads were read from; empty for all

	Nodes               []*corev1.Node
	Namespaces          []*corev1.Namespace
	Pods                []*Pod
	Services            []*corev1.Service
	EndpointSlices      []*EndpointSlice
	ConfigMaps          []*corev1.ConfigMap
	Events              []*Event
	Deployments         []*appsv1.Deployment
	DaemonSets          []*appsv1.DaemonSet
	ServiceAccounts     []*corev1.ServiceAccount
	ClusterRoles        []*rbacv1.ClusterRole
	ClusterRoleBindings []*rbacv1.ClusterRoleBinding
	NetworkPolicies     []*networkingv1.NetworkPolicy
	StatefulSets        []*appsv1.StatefulSet
	Ingresses           []*networkingv1.Ingress
	HTTPRoutes          []*gatewayv1.HTTPRoute
	ServiceCIDRs        []*networkingv1.ServiceCIDR
	APIServices         []*apiregistrationv1.APIService
	ValidatingWebhooks  []*admissionv1.ValidatingWebhookConfiguration
	MutatingWebhooks    []*admissionv1.MutatingWebhookConfiguration

	// Logs by "namespace/pod/container". A container that is absent was not read.
	Logs map[string]Log
	// Proxy holds the bodies of GETs through pods/proxy by "namespace/pod/port/path",
	// whatever the status was that came with them.
	Proxy map[string]string
	// Metrics holds what pods of cluster DNS answered on /metrics, by "namespace/pod", the
	// older answer first: counters tell of now only by the difference of two.
	Metrics map[string][]Scrape
	// Configz holds each kubelet's live configuration by node.
	Configz map[string]*kubeletv1beta1.KubeletConfiguration
	// Answers holds what each pod of cluster DNS answered from outside.
	Answers []Answer
	// Tries holds what pods tried that were made for it.
	Tries []Try
	// Files holds files of the nodes, by node and absolute path.
	Files map[string]map[string]string

	// Gaps says what is missing and why. A source's name as key: all of it is missing.
	// A longer key ("logs/kube-system/coredns-x", "configz/node1") names one part.
	Gaps map[string]string

	// SystemOnly names the sources of which only the part in the system namespaces was
	// read. They are in Gaps as well.
	SystemOnly map[string]bool

	// Unheard names the sources that the netdoctor which captured the bundle did not know of.
	// They are in Gaps as well.
	Unheard map[string]bool

	// Sampled tells of which sources a sample was read, those in trouble first: what is not
	// in it is not missing.
	Sampled map[string]Sample

	index index
}

// Sample is how many objects were asked, of how many.
type Sample struct {
	Asked int `json:"asked"`
	Of    int `json:"of"`
}

// Scrape is one answer of a pod on /metrics, in the text format of Prometheus.
type Scrape struct {
	At   time.Time
	Text string
}

// Log is what a container wrote: the end of it, where it wrote a lot.
type Log struct {
	Current, Previous string
}

// Missing returns why a source was not read, or "" where it was.
func (s *Snapshot) Missing(src *Source) string {
	if src.Whole != nil && s.SystemOnly[src.Name] {
		return ""
	}
	return s.Gaps[src.Name]
}

// MissingPart returns why one object's part of a source is not known, or "" where it is
// or where a sample was asked that it is not in: the logs or
// answers of a pod ("namespace/name"), the configz, files or tries of a node. Of one file
// ("node/path") it knows what hindered the look at that alone.
func (s *Snapshot) MissingPart(src *Source, key string) string {
	if why := s.Missing(src); why != "" {
		return why
	}
	if why, found := s.Gaps[src.Name+"/"+key]; found {
		return why
	}
	known := true
	switch src {
	case PodLogs:
		known = s.index.logged[key]
	case Metrics:
		known = len(s.Metrics[key]) > 1
	case Configz:
		_, known = s.Configz[key]
	case Answers:
		known = len(s.index.answers[key]) > 0
	case Tries:
		known = slices.ContainsFunc(s.Tries, func(t Try) bool { return t.Node == key })
	case Files:
		node, _, _ := strings.Cut(key, "/") // of one file of it, package host tells more
		_, known = s.Files[node]
	}
	if _, sample := s.Sampled[src.Name]; !known && !sample {
		return "not read"
	}
	return ""
}

// Without returns a copy of the snapshot in which a source was not read, nor any part of
// it.
func (s *Snapshot) Without(src *Source, why string) *Snapshot {
	src = src.All()
	out := *s
	out.Gaps, out.SystemOnly, out.Unheard = maps.Clone(s.Gaps), maps.Clone(s.SystemOnly), maps.Clone(s.Unheard)
	if out.Gaps == nil {
		out.Gaps = map[string]string{}
	}
	out.Gaps[src.Name] = why
	delete(out.SystemOnly, src.Name)
	delete(out.Unheard, src.Name)
	out.drop(src)
	out.index = newIndex(&out)
	return &out
}

// UpTo returns a copy of the snapshot in which nothing was read that lies deeper.
func (s *Snapshot) UpTo(depth Depth) *Snapshot {
	out := *s
	for _, src := range Sources() {
		if src.Depth > depth && out.Missing(src) == "" {
			out = *out.Without(src, "read only at --depth "+src.Depth.String())
		}
	}
	out.Depth = min(s.Depth, depth)
	return &out
}

// WithSystemOnly returns a copy of the snapshot in which only the part of a source was
// read that lies in the system namespaces.
func (s *Snapshot) WithSystemOnly(part *Source, why string) *Snapshot {
	out := s.Without(part, why)
	if out.SystemOnly == nil {
		out.SystemOnly = map[string]bool{}
	}
	out.SystemOnly[part.Name] = true
	lists[part.Whole].within(out, s, PartNamespaces(part))
	out.index = newIndex(out)
	return out
}

// Holds tells whether the snapshot has anything of a source.
func (s *Snapshot) Holds(src *Source) bool {
	switch src {
	case PodLogs:
		return len(s.Logs) > 0
	case Proxy:
		return len(s.Proxy) > 0
	case Metrics:
		return len(s.Metrics) > 0
	case Configz:
		return len(s.Configz) > 0
	case Answers:
		return len(s.Answers) > 0
	case Tries:
		return len(s.Tries) > 0
	case Files:
		return len(s.Files) > 0
	}
	return lists[src].count(s) > 0
}

func (s *Snapshot) drop(src *Source) {
	switch src {
	case PodLogs:
		s.Logs = nil
	case Proxy:
		s.Proxy = nil
	case Metrics:
		s.Metrics = nil
	case Configz:
		s.Configz = nil
	case Answers:
		s.Answers = nil
	case Tries:
		s.Tries = nil
	case Files:
		s.Files = nil
	default:
		lists[src].drop(s)
	}
}
