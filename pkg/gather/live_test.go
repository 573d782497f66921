package gather_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/test/portforward"
)

const (
	services = "/api/v1/services"
	proxied  = "/api/v1/namespaces/kube-system/pods/"
)

// sound is a healthy cluster with something in every source. The name goes into those of
// its objects.
func sound(name string) *cluster {
	dns, proxy, worker := name+"-dns-0", name+"-proxy-0", name+"-worker"
	mounted := &appsv1.Deployment{ObjectMeta: named("kube-system", name+"-dns")}
	mounted.Spec.Template.Spec = corev1.PodSpec{
		Containers: []corev1.Container{{Name: "coredns", Image: "registry.k8s.io/coredns/coredns:v1.12.1"}}, Volumes: volumes(name + "-zones")}
	agent := &appsv1.DaemonSet{ObjectMeta: named("kube-system", name+"-proxy")}
	agent.Spec.Template.Spec.Containers = []corev1.Container{{Name: "kube-proxy", Image: "registry.k8s.io/kube-proxy:v1.37.2"}}
	agent.Spec.Template.Spec.Volumes = volumes("kube-proxy")
	c := &cluster{
		objects: []runtime.Object{
			&corev1.Node{ObjectMeta: named("", worker)},
			&corev1.Node{ObjectMeta: named("", name+"-control")},
			&corev1.Namespace{ObjectMeta: named("", name)},
			pod(dns, "coredns", "registry.k8s.io/coredns/coredns:v1.12.1", worker, name+"-corefile"),
			pod(proxy, "kube-proxy", "registry.k8s.io/kube-proxy:v1.37.2", worker, "kube-proxy"),
			&discoveryv1.EndpointSlice{ObjectMeta: named(name, name+"-x7k2p")},
			&corev1.ConfigMap{ObjectMeta: named("kube-system", name+"-corefile"), Data: map[string]string{"Corefile": ".:53 {\n}\n"}},
			&corev1.ConfigMap{ObjectMeta: named("kube-system", name+"-zones"), Data: map[string]string{"db": "@ 60 IN A 192.0.2.9\n"}},
			&corev1.ConfigMap{ObjectMeta: named("kube-system", "kube-proxy"), Data: map[string]string{"config.conf": "mode: nftables\n"}},
			&corev1.Event{ObjectMeta: named(name, name+".17a"), Reason: "Unhealthy"},
			mounted, agent,
			&corev1.ServiceAccount{ObjectMeta: named("kube-system", name+"-dns")},
			&rbacv1.ClusterRole{ObjectMeta: named("", "system:"+name)},
			&rbacv1.ClusterRoleBinding{ObjectMeta: named("", "system:"+name)},
			&networkingv1.NetworkPolicy{ObjectMeta: named(name, "default-deny")},
			&appsv1.StatefulSet{ObjectMeta: named(name, "db")},
			&networkingv1.Ingress{ObjectMeta: named(name, "front")},
			&networkingv1.ServiceCIDR{ObjectMeta: named("", "kubernetes")},
			&gatewayv1.HTTPRoute{ObjectMeta: named(name, "front")},
			&apiregistrationv1.APIService{ObjectMeta: named("", "v1beta1.metrics.k8s.io")},
			&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: named("", name)},
			&admissionv1.MutatingWebhookConfiguration{ObjectMeta: named("", name)},
		},
		instead: map[string]http.HandlerFunc{},
		texts: map[string]string{
			"/version":                                         `{"gitVersion": "v1.37.2"}`,
			proxied + dns + "/log":                             "CoreDNS-1.12.1\n",
			proxied + proxy + "/log":                           "Using nftables Proxier\n",
			proxied + dns + ":8181/proxy/ready":                "OK",
			proxied + dns + ":9153/proxy/metrics":              "coredns_panics_total 0\n",
			proxied + proxy + ":10256/proxy/livez":             `{"healthy":true}`,
			"/api/v1/nodes/" + worker + "/proxy/configz":       configz(name + ".example"),
			"/api/v1/nodes/" + name + "-control/proxy/configz": configz(name + ".example"),
		},
		ports: map[string]portforward.Server{dns: portforward.DNS(knowing(name))},
	}
	c.serve(name, 0, 3)
	return c
}

// knowing is a DNS server that knows the API server's Service, and nothing else.
func knowing(name string) func(*dns.Msg) *dns.Msg {
	return func(q *dns.Msg) *dns.Msg {
		reply := new(dns.Msg).SetReply(q)
		if q.Question[0].Name != "kubernetes.default.svc."+name+".example." {
			return reply.SetRcode(q, dns.RcodeNameError)
		}
		for _, ip := range []string{"10.96.0.2", "10.96.0.1"} {
			rr, _ := dns.NewRR(q.Question[0].Name + " 5 IN A " + ip)
			reply.Answer = append(reply.Answer, rr)
		}
		return reply
	}
}

// large is the same with Services that take three pages.
func large(name string) *cluster {
	c := sound(name)
	c.serve(name, 3, 1203)
	return c
}

// serve adds numbered Services.
func (c *cluster) serve(name string, from, to int) {
	for i := from; i < to; i++ {
		c.objects = append(c.objects, &corev1.Service{ObjectMeta: named(name, fmt.Sprintf("%s-%04d", name, i))})
	}
}

// known is the snapshot of a cluster of which everything was read.
func known(t *testing.T, c *cluster, name string) *facts.Snapshot {
	t.Helper()
	b := facts.NewBuilder(now(), "v1.37.2", facts.Logs)
	for _, obj := range c.objects {
		if err := b.Add(obj.DeepCopyObject()); err != nil {
			t.Fatal(err)
		}
	}
	b.AddLog("kube-system", name+"-dns-0", "coredns", facts.Log{Current: "CoreDNS-1.12.1\n"})
	b.AddLog("kube-system", name+"-proxy-0", "kube-proxy", facts.Log{Current: "Using nftables Proxier\n"})
	b.AddProxy("kube-system", name+"-dns-0", "8181", "ready", "OK")
	b.AddProxy("kube-system", name+"-dns-0", "9153", "metrics", "coredns_panics_total 0\n")
	b.AddProxy("kube-system", name+"-proxy-0", "10256", "livez", `{"healthy":true}`)
	for range 2 {
		b.AddMetrics("kube-system", name+"-dns-0", facts.Scrape{Text: "coredns_panics_total 0\n"})
	}
	b.AddConfigz(name+"-worker", &kubeletv1beta1.KubeletConfiguration{ClusterDomain: name + ".example"})
	b.AddConfigz(name+"-control", &kubeletv1beta1.KubeletConfiguration{ClusterDomain: name + ".example"})
	b.AddAnswer(facts.Answer{Namespace: "kube-system", Pod: name + "-dns-0", Kind: facts.AnswerCluster, Name: "kubernetes.default.svc." + name + ".example.", Type: "A",
		Rcode: "NOERROR", Records: []string{"10.96.0.1", "10.96.0.2"}})
	b.Gap(facts.Files, "", "read only at --depth host")
	b.Gap(facts.Tries, "", "read only at --depth probe")
	return b.Build()
}

func same(t *testing.T, want, got *facts.Snapshot) {
	t.Helper()
	if d := cmp.Diff(want.Gaps, got.Gaps); d != "" {
		t.Errorf("gaps (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(facts.Snapshot{}), cmpopts.IgnoreFields(facts.Snapshot{}, "Gaps"), cmpopts.IgnoreFields(facts.Scrape{}, "At"),
		cmpopts.IgnoreFields(facts.Answer{}, "Took"), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("contents (-want +got):\n%s", d)
	}
}

func TestHealthy(t *testing.T) {
	servers := map[string]func(*cluster) *httptest.Server{
		"plain": func(c *cluster) *httptest.Server { return httptest.NewServer(c) },
		"TLS": func(c *cluster) *httptest.Server {
			srv := httptest.NewUnstartedServer(c)
			srv.EnableHTTP2 = true
			srv.StartTLS()
			return srv
		},
	}
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			c := large("harbour")
			srv := serve(c)
			defer srv.Close()
			s, err := gather.Live(quiet(t), &rest.Config{Host: srv.URL, TLSClientConfig: rest.TLSClientConfig{CAData: authority(srv.Certificate())}}, everything())
			if err != nil {
				t.Fatal(err)
			}
			same(t, known(t, c, "harbour"), s)
			if d := cmp.Diff(harbourRequests(), slices.Sorted(slices.Values(c.asked))); d != "" {
				t.Errorf("requests (-want +got):\n%s", d)
			}
		})
	}
}

func authority(cert *x509.Certificate) []byte {
	if cert == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// harbourRequests is all that may be asked: each list once and page by page, without a
// resourceVersion (a list at 0 ignores the limit), and nothing twice.
func harbourRequests() []string {
	out := []string{
		"/version",
		"/api/v1/nodes?limit=500&resourceVersion=0", "/api/v1/namespaces?limit=500&resourceVersion=0", "/api/v1/pods?limit=500&resourceVersion=0", "/api/v1/events?limit=500&resourceVersion=0",
		services + "?limit=500&resourceVersion=0", services + "?continue=from-500&limit=500", services + "?continue=from-1000&limit=500",
		"/apis/discovery.k8s.io/v1/endpointslices?limit=500&resourceVersion=0", "/apis/apps/v1/deployments?limit=500&resourceVersion=0",
		"/apis/apps/v1/daemonsets?limit=500&resourceVersion=0", "/api/v1/serviceaccounts?limit=500&resourceVersion=0",
		"/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=500&resourceVersion=0", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?limit=500&resourceVersion=0",
		"/apis/networking.k8s.io/v1/networkpolicies?limit=500&resourceVersion=0", "/apis/networking.k8s.io/v1/ingresses?limit=500&resourceVersion=0",
		"/apis/networking.k8s.io/v1/servicecidrs?limit=500&resourceVersion=0", "/apis/gateway.networking.k8s.io/v1/httproutes?limit=500&resourceVersion=0",
		"/apis/apps/v1/statefulsets?limit=500&resourceVersion=0", "/apis/apiregistration.k8s.io/v1/apiservices?limit=500&resourceVersion=0",
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations?limit=500&resourceVersion=0",
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations?limit=500&resourceVersion=0",
		"/api/v1/nodes/harbour-control/proxy/configz", "/api/v1/nodes/harbour-worker/proxy/configz",
		proxied + "harbour-dns-0:8181/proxy/ready", proxied + "harbour-dns-0:9153/proxy/metrics", proxied + "harbour-dns-0:9153/proxy/metrics",
		proxied + "harbour-proxy-0:10256/proxy/livez",
		proxied + "harbour-dns-0/portforward", proxied + "harbour-dns-0/portforward", // by websocket, and since that is refused by SPDY
		proxied + "harbour-dns-0/log?container=coredns&tailLines=500", proxied + "harbour-proxy-0/log?container=kube-proxy&tailLines=500",
	}
	for _, key := range append(gather.WellKnownConfigMaps(), "kube-system/harbour-corefile", "kube-system/harbour-zones") {
		namespace, name, _ := strings.Cut(key, "/")
		out = append(out, "/api/v1/namespaces/"+namespace+"/configmaps/"+name)
	}
	slices.Sort(out)
	return out
}

func TestNothingMoreThanAsked(t *testing.T) {
	c := sound("meadow")
	opts := everything()
	opts.Depth, opts.Sources = facts.API, []*facts.Source{facts.Nodes, facts.PodLogs, facts.Configz}
	s := see(t, c, opts)
	want := map[string]string{"logs": "read only at --depth logs", "configz": "read only at --depth logs",
		"proxy": "read only at --depth logs", "metrics": "read only at --depth logs", "answers": "read only at --depth logs",
		"probe": "read only at --depth probe", "host": "read only at --depth host"}
	for _, src := range facts.Sources() {
		if src.Object() && src != facts.Nodes {
			want[src.Name] = "not asked for"
		}
	}
	if d := cmp.Diff(want, s.Gaps); d != "" {
		t.Errorf("gaps (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"/version", "/api/v1/nodes?limit=500&resourceVersion=0"}, c.asked); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// A look at one namespace leaves out the workloads of all others, but never the network
// stack itself.
func TestNamespace(t *testing.T) {
	c := sound("orchard")
	c.objects = append(c.objects, &corev1.Service{ObjectMeta: named("kube-system", "kube-dns")}, &corev1.Service{ObjectMeta: named("mill", "grain")})
	opts := everything()
	opts.Sources, opts.Namespace = []*facts.Source{facts.Nodes, facts.Services}, "mill"
	s := see(t, c, opts)
	var got []string
	for _, svc := range s.Services {
		got = append(got, svc.Namespace+"/"+svc.Name)
	}
	if d := cmp.Diff([]string{"kube-system/kube-dns", "mill/grain"}, got); d != "" || s.Scope != "mill" {
		t.Errorf("scope %q, Services (-want +got):\n%s", s.Scope, d)
	}
	want := []string{"/version", "/api/v1/nodes?limit=500&resourceVersion=0", "/api/v1/namespaces/mill/services?limit=500&resourceVersion=0"}
	for _, namespace := range facts.SystemNamespaces() {
		want = append(want, "/api/v1/namespaces/"+namespace+"/services?limit=500&resourceVersion=0")
	}
	slices.Sort(want)
	if d := cmp.Diff(want, slices.Sorted(slices.Values(c.asked))); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// Everything that was recorded for a bundle is the snapshot again once it is loaded.
func TestRecord(t *testing.T) {
	c := large("lagoon")
	opts := everything()
	opts.Record = new(facts.Recorder)
	s := see(t, c, opts)
	names := map[string]bool{}
	err := opts.Record.WriteTo(s, func(name string, size int64, body io.Reader) error {
		data, err := io.ReadAll(body)
		if err != nil || int64(len(data)) != size {
			t.Errorf("%s: %d bytes of %d, %v", name, len(data), size, err)
		}
		names[name] = true
		if name == "lagoon/services.json" && strings.Count(string(data), `"lagoon-`) != 1203 {
			t.Errorf("%s does not hold each Service once", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range c.objects {
		m, _ := meta.Accessor(obj)
		i := slices.IndexFunc(facts.Sources(), func(src *facts.Source) bool { return src.Kind == kind(obj) })
		name := facts.Sources()[i].Name + ".json"
		if m.GetNamespace() != "" {
			name = m.GetNamespace() + "/" + name
		}
		if !names[name] {
			t.Errorf("%s was not recorded", name)
		}
	}
}
