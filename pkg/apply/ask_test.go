package apply_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// dnsServer answers every question over TCP with one code until the test ends.
func dnsServer(t *testing.T, code int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetRcode(q, code)
		if q.Question[0].Name != "kubernetes.default.svc.cluster.local." {
			reply.Rcode = dns.RcodeFormatError
		}
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return l.Addr().String()
}

// forwarder is an API server that forwards ports of pods, over SPDY alone, to addresses
// by the pod's name; to port 53 alone.
func forwarder(t *testing.T, to map[string]string) *rest.Config {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/") // /api/v1/namespaces/NAMESPACE/pods/NAME/portforward
		addr, known := to[parts[6]]
		if !known || strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
			return
		}
		streams := make(chan httpstream.Stream, 2)
		conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
			streams <- s
			return nil
		})
		if conn == nil {
			return
		}
		defer conn.Close()
		var data, fails httpstream.Stream
		for range 2 {
			if s := <-streams; s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				fails = s
			} else {
				data = s
			}
		}
		target, err := net.Dial("tcp", addr)
		if err != nil || data.Headers().Get(corev1.PortHeader) != "53" {
			_, _ = io.WriteString(fails, "failed to connect to localhost:53 inside namespace: connection refused")
			fails.Close()
			data.Close()
			<-conn.CloseChan()
			return
		}
		defer target.Close()
		go func() { _, _ = io.Copy(target, data) }()
		_, _ = io.Copy(data, target)
	}))
	t.Cleanup(web.Close)
	return &rest.Config{Host: web.URL, QPS: -1}
}

func dnsPods(t *testing.T, ready map[string]bool) *facts.Snapshot {
	t.Helper()
	b := facts.NewBuilder(time.Now(), "v1.37.2", facts.Logs)
	yes := true
	for name, ready := range ready {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "dns", Controller: &yes}}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "coredns", Image: "registry.k8s.io/coredns/coredns:v1.14.2"}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning},
		}
		if ready {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		if err := b.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Build()
}

func TestAskDNS(t *testing.T) {
	config := forwarder(t, map[string]string{
		"good": dnsServer(t, dns.RcodeSuccess), "other": dnsServer(t, dns.RcodeNameError), "sick": dnsServer(t, dns.RcodeServerFailure), "deaf": "127.0.0.1:1",
	})
	s := dnsPods(t, map[string]bool{"good": true, "other": true, "sick": true, "deaf": true, "starting": false, "walled": true})
	want := map[string]string{
		"good": "ok", "other": "ok", "sick": "bad: SERVFAIL for kubernetes.default.svc.cluster.local.", "deaf": "bad: nothing answers on TCP port 53",
		"starting": "not: it is not ready", "walled": "not: no port-forward: ",
	}
	answers := apply.AskDNS(t.Context(), config, s)
	if len(answers) != len(want) {
		t.Errorf("got %d answers", len(answers))
	}
	for _, a := range answers {
		got := "not: " + a.Not
		switch {
		case a.OK:
			got = "ok"
		case a.Bad != "":
			got = "bad: " + a.Bad
		}
		if want := want[a.Pod.Name]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", a.Pod, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	s := dnsPods(t, map[string]bool{"a": true, "b": true})
	answer := func(pod, bad, not string) apply.Answer {
		return apply.Answer{Pod: facts.Ref{Kind: "Pod", Namespace: "kube-system", Name: pod}, OK: bad+not == "", Bad: bad, Not: not}
	}
	good, bad, not := answer("a", "", ""), answer("b", "SERVFAIL", ""), answer("b", "", "it is not ready")
	for _, tt := range []struct {
		name          string
		before, after []apply.Answer
		wrong         bool
		notAsked      int
	}{
		{"all well", []apply.Answer{good}, []apply.Answer{good}, false, 0},
		{"wrong since", []apply.Answer{good}, []apply.Answer{good, bad}, true, 0},
		{"not asked before, wrong since", []apply.Answer{not}, []apply.Answer{bad}, true, 0},
		{"wrong before", []apply.Answer{bad}, []apply.Answer{bad}, false, 0},
		{"cannot be asked", []apply.Answer{good}, []apply.Answer{good, not}, false, 1},
	} {
		wrong, notAsked := apply.Judge(apply.Asked{Snapshot: s, Answers: tt.before}, apply.Asked{Snapshot: s, Answers: tt.after})
		if (wrong != "") != tt.wrong || len(notAsked) != tt.notAsked {
			t.Errorf("%s: got %q, %q", tt.name, wrong, notAsked)
		}
	}
}
