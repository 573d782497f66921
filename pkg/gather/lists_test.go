package gather_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func resource(group, name string) schema.GroupResource {
	return schema.GroupResource{Group: group, Resource: name}
}

func unauthorized() *apierrors.StatusError { return apierrors.NewUnauthorized("Unauthorized") }

func expired() http.HandlerFunc {
	return refuse(apierrors.NewResourceExpired("The provided continue parameter is too old"))
}

// A list that failed, be it at its last page, is a gap with its reason and holds
// nothing; all other sources are as if nothing had happened.
func TestListFails(t *testing.T) {
	const torn = "the server's answer: truncated: the JSON ends too early"
	const rbac, slices = "/apis/rbac.authorization.k8s.io/v1/", "/apis/discovery.k8s.io/v1/endpointslices"
	tests := []struct {
		name   string
		src    *facts.Source
		path   string
		second bool // only the second page fails
		answer http.HandlerFunc
		want   string
	}{
		{name: "forbidden", src: facts.Services, path: services, answer: forbid("list", resource("", "services"), ""),
			want: `forbidden: User "mira" cannot list resource "services" in API group ""`},
		{name: "forbidden in a group", src: facts.EndpointSlices, path: slices, answer: forbid("list", resource("discovery.k8s.io", "endpointslices"), ""),
			want: `forbidden: User "mira" cannot list resource "endpointslices" in API group "discovery.k8s.io"`},
		{name: "forbidden at the second page", src: facts.Services, path: services, second: true, answer: forbid("list", resource("", "services"), ""),
			want: `forbidden: User "mira" cannot list resource "services" in API group ""`},
		{name: "unauthorized", src: facts.ClusterRoles, path: rbac + "clusterroles", answer: refuse(unauthorized()),
			want: "unauthorized: the server does not accept these credentials"},
		{name: "expired for ever", src: facts.Services, path: services, answer: expired(), want: "The provided continue parameter is too old"},
		{name: "internal error", src: facts.Events, path: "/api/v1/events", answer: say(500, "text/plain", "etcdserver: request timed out"),
			want: `an error on the server ("etcdserver: request timed out") has prevented the request from succeeding (get events)`},
		{name: "internal error at the second page", src: facts.Services, path: services, second: true, answer: refuse(apierrors.NewInternalError(errors.New("disk quota exceeded"))),
			want: "Internal error occurred: disk quota exceeded"},
		{name: "cut", src: facts.ServiceAccounts, path: "/api/v1/serviceaccounts", answer: cut(say(200, "application/json", `{"kind":"ServiceAccountList","apiVersion":"v1","items":[{},{}]}`)), want: torn},
		{name: "cut at the second page", src: facts.Services, path: services, second: true, want: torn,
			answer: cut(say(200, "application/json", `{"kind":"ServiceList","apiVersion":"v1","metadata":{},"items":[{},{}]}`))},
		{name: "ends early, nicely", src: facts.Services, path: services, second: true, want: torn,
			answer: say(200, "application/json", `{"kind":"ServiceList","apiVersion":"v1","items":[{"metadata":{"name":"gr`)},
		{name: "no JSON", src: facts.ClusterRoleBindings, path: rbac + "clusterrolebindings", answer: say(200, "application/json", "upstream connect error"),
			want: "the server's answer: not JSON: invalid character 'u' looking for beginning of value"},
		{name: "login page", src: facts.Namespaces, path: "/api/v1/namespaces", answer: say(200, "text/html", login), want: "the server's answer: not JSON: invalid character '<' looking for beginning of value"},
		{name: "empty", src: facts.Events, path: "/api/v1/events", answer: say(200, "application/json", ""),
			want: torn},
		{name: "another service's JSON", src: facts.Namespaces, path: "/api/v1/namespaces", answer: say(200, "application/json", `{"status":"up"}`),
			want: `the server's answer: not a list: it has no "items"`},
		{name: "an object without a name", src: facts.Namespaces, path: "/api/v1/namespaces", want: "the server's answer: item 1: it has no name",
			answer: say(200, "application/json", `{"kind":"NamespaceList","apiVersion":"v1","items":[{"metadata":{"name":"barn"}},{}]}`)},
		{name: "success without a list", src: facts.Events, path: "/api/v1/events", want: `not a list but a Status: a Status without a message, reason ""`,
			answer: say(200, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Success"}`)},
		{name: "another list", src: facts.EndpointSlices, path: slices, want: "the server's answer is not a list of endpointslices but a NodeList of v1",
			answer: func(w http.ResponseWriter, r *http.Request) {
				write(w, r, 200, &corev1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}})
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := sound("granary")
			c.instead[tt.path] = tt.answer
			if tt.second {
				c = large("granary")
				c.instead[tt.path] = onSecondPage(c, tt.answer)
			}
			same(t, known(t, c, "granary").Without(tt.src, tt.want), see(t, c, everything()))
		})
	}
}

// What has to be known to ask further takes the further sources with it.
func TestListFailsBelowOthers(t *testing.T) {
	denied := forbid("list", resource("", "pods"), "")
	const why = `forbidden: User "mira" cannot list resource "pods" in API group ""`
	c := sound("weir")
	c.instead["/api/v1/pods"], c.instead["/api/v1/nodes"] = denied, refuse(unauthorized())
	const out = "unauthorized: the server does not accept these credentials"
	want := known(t, c, "weir").Without(facts.Pods, why).Without(facts.PodLogs, "which pods there are is not known").
		Without(facts.Proxy, "which pods there are is not known").Without(facts.Metrics, "which pods there are is not known").
		Without(facts.Answers, "which pods there are is not known").
		Without(facts.Nodes, out).Without(facts.Configz, "which nodes there are is not known")
	want.ConfigMaps = want.ConfigMaps[:0]
	for _, cm := range known(t, c, "weir").ConfigMaps {
		if cm.Name != "weir-corefile" { // only a pod tells of it
			want.ConfigMaps = append(want.ConfigMaps, cm)
		}
	}
	same(t, want, see(t, c, everything()))
}

// Credentials that end after the first contact leave nothing that looks empty.
func TestUnauthorizedAfterVersion(t *testing.T) {
	c := sound("ferry")
	version := say(http.StatusOK, "application/json", c.texts["/version"])
	c.all = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			version(w, r)
			return
		}
		refuse(unauthorized())(w, r)
	}
	const why = "unauthorized: the server does not accept these credentials"
	want := map[string]string{"probe": "read only at --depth probe", "host": "read only at --depth host"}
	for _, src := range facts.Sources() {
		if src.Object() {
			want[src.Name] = why
		}
	}
	want["configmaps"] = "kube-flannel/kube-flannel-cfg: " + why
	want["metrics"], want["answers"] = "which pods there are is not known", "which pods there are is not known"
	want["logs"], want["proxy"] = "which pods there are is not known", "which pods there are is not known"
	want["configz"] = "which nodes there are is not known"
	b := facts.NewBuilder(now(), "v1.37.2", facts.Logs)
	empty := b.Build()
	empty.Gaps = want
	same(t, empty, see(t, c, everything()))
}

// A page token that expired starts the list again, once, in one piece: no object is
// missing and none is there twice.
func TestExpiredPage(t *testing.T) {
	c := large("tannery")
	c.instead[services] = onSecondPage(c, expired())
	same(t, known(t, c, "tannery"), see(t, c, everything()))
	if d := cmp.Diff([]string{"limit=500&resourceVersion=0", "continue=from-500&limit=500", "resourceVersion=0"}, c.queries(services)); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// A ConfigMap that exists and cannot be read hides the source, the same one every time.
func TestConfigMapFails(t *testing.T) {
	at := func(name string) string { return "/api/v1/namespaces/kube-system/configmaps/" + name }
	tests := []struct {
		name    string
		instead map[string]http.HandlerFunc
		want    string
	}{
		{name: "forbidden", want: `kube-system/coredns: forbidden: User "mira" cannot get resource "configmaps" in API group ""`,
			instead: map[string]http.HandlerFunc{
				at("kube-proxy"): forbid("get", resource("", "configmaps"), "kube-proxy"), at("coredns"): forbid("get", resource("", "configmaps"), "coredns"),
				at("weave-net"): refuse(unauthorized())}},
		{name: "another object", want: "kube-system/kube-proxy: the server's answer is not the ConfigMap asked for",
			instead: map[string]http.HandlerFunc{at("kube-proxy"): say(200, "application/json", `{"status":"up"}`)}},
		{name: "cut", want: "kube-system/kiln-zones: unexpected error when reading response body. Please retry. Original error: unexpected EOF",
			instead: map[string]http.HandlerFunc{at("kiln-zones"): cut(say(200, "application/json", `{"kind":"ConfigMap","apiVersion":"v1"}`))}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := sound("kiln")
			c.instead = tt.instead
			same(t, known(t, c, "kiln").Without(facts.ConfigMaps, tt.want), see(t, c, everything()))
		})
	}
}
