package gather_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/test/portforward"
)

// rock is a DNS server of a cluster without anything else, and its pod after a change.
func rock(to portforward.Server, change func(*corev1.Pod)) *cluster {
	p := pod("rock-dns-0", "coredns", "coredns/coredns:1.14.6", "rock-1")
	if change != nil {
		change(p)
	}
	return &cluster{objects: []runtime.Object{p}, texts: map[string]string{"/version": `{"gitVersion":"v1.37.2"}`}, ports: map[string]portforward.Server{"rock-dns-0": to}}
}

// asking reads no more than the answers of DNS servers.
func asking() gather.Options {
	opts := everything()
	opts.Sources = []*facts.Source{facts.SystemPods, facts.SystemServices, facts.Answers}
	return opts
}

func rcode(code int) portforward.Server {
	return portforward.DNS(func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, code) })
}

// What a DNS server answers is kept, and what is wrong with that; what is wrong with the
// way to it is a gap, and never the server's fault.
func TestAnswersOfDNS(t *testing.T) {
	const question = "kubernetes.default.svc.cluster.local."
	closing := func(string, io.ReadWriter) string { return "" }
	broken := func(string, io.ReadWriter) string { return "unable to do port forwarding: socat not found" }
	for _, tt := range []struct {
		name   string
		to     portforward.Server
		change func(*corev1.Pod)
		rcode  string
		err    string
		gap    string
	}{
		{name: "not there", to: rcode(dns.RcodeNameError), rcode: "NXDOMAIN"},
		{name: "fails", to: rcode(dns.RcodeServerFailure), rcode: "SERVFAIL"},
		{name: "an unheard-of code", to: rcode(14), rcode: "RCODE14"},
		{name: "not ready", to: rcode(dns.RcodeSuccess), change: func(p *corev1.Pod) { p.Status.Conditions = nil }, rcode: "NOERROR"},
		{name: "deaf", to: portforward.Refuse, err: "nothing listens on TCP port 53"},
		{name: "its port", to: portforward.Refuse, change: func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "dns-tcp", ContainerPort: 5353, Protocol: corev1.ProtocolTCP}}
		}, err: "nothing listens on TCP port 5353"},
		{name: "mute", to: portforward.Mute, err: "no answer in 5 s"},
		{name: "closes", to: closing, err: "it closes the connection without an answer"},
		{name: "closes once", to: func() portforward.Server {
			var times atomic.Int64
			return func(port string, conn io.ReadWriter) string {
				if times.Add(1) == 1 {
					return ""
				}
				return rcode(dns.RcodeSuccess)(port, conn)
			}
		}(), rcode: "NOERROR"},
		{name: "the way breaks", to: func(_ string, conn io.ReadWriter) string {
			_, _ = conn.Read(make([]byte, 1))
			return portforward.Broken
		}, gap: "the port-forward broke off"},
		{name: "no way", to: broken, gap: "unable to do port forwarding: socat not found"},
		{name: "crash-looping", to: rcode(dns.RcodeSuccess), change: func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		}, gap: "it does not run (CrashLoopBackOff)"},
		{name: "not there at all", gap: `pods "rock-dns-0" not found`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := rock(tt.to, tt.change)
			if tt.to == nil {
				c.instead = map[string]http.HandlerFunc{proxied + "rock-dns-0/portforward": refuse(apierrors.NewNotFound(resource("", "pods"), "rock-dns-0"))}
			}
			s := see(t, c, asking())
			if got := s.Gaps["answers/kube-system/rock-dns-0"]; got != tt.gap {
				t.Errorf("gap %q, want %q", got, tt.gap)
			}
			var want []facts.Answer
			if tt.gap == "" {
				want = []facts.Answer{{Namespace: "kube-system", Pod: "rock-dns-0", Kind: facts.AnswerCluster, Name: question, Type: "A", Rcode: tt.rcode, Err: tt.err}}
			}
			if d := cmp.Diff(want, s.Answers, cmpopts.IgnoreFields(facts.Answer{}, "Took")); d != "" {
				t.Errorf("answers (-want +got):\n%s", d)
			}
		})
	}
}

// All names are asked for at once, in the domain that a kubelet names.
func TestQuestions(t *testing.T) {
	c := sound("delta")
	c.objects = append(c.objects, &corev1.Service{ObjectMeta: named("default", "kubernetes"), Spec: corev1.ServiceSpec{ClusterIP: "fd00:10::1"}})
	c.ports["delta-dns-0"] = portforward.DNS(func(q *dns.Msg) *dns.Msg {
		reply := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypePTR {
			reply.Answer = []dns.RR{&dns.PTR{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypePTR, Class: dns.ClassINET}, Ptr: "kubernetes.default.svc.delta.example."}}
		}
		return reply
	})
	opts := everything()
	opts.OutsideName = "registry.example."
	s := see(t, c, opts)
	var got []string
	for _, a := range s.Answers {
		got = append(got, fmt.Sprintf("%s %s %s %s %q %t", a.Kind, a.Type, a.Name, a.Rcode, a.Records, a.Took > 0))
	}
	slices.Sort(got)
	want := []string{`cluster AAAA kubernetes.default.svc.delta.example. NOERROR [] true`, `outside A registry.example. NOERROR [] true`,
		`reverse PTR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa. NOERROR ["kubernetes.default.svc.delta.example."] true`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A domain that cannot be one is not asked for.
func TestQuestionsOddDomain(t *testing.T) {
	c := sound("shoal")
	for _, node := range []string{"worker", "control"} {
		c.texts["/api/v1/nodes/shoal-"+node+"/proxy/configz"] = configz(strings.Repeat("long.", 60))
	}
	s := see(t, c, everything())
	if len(s.Answers) != 1 || s.Answers[0].Name != "kubernetes.default.svc.cluster.local." {
		t.Errorf("got %v", s.Answers)
	}
}

func TestAnswersForbidden(t *testing.T) {
	c := rock(portforward.Mute, nil)
	c.instead = map[string]http.HandlerFunc{proxied + "rock-dns-0/portforward": forbid("create", resource("", "pods/portforward"), "rock-dns-0")}
	s := see(t, c, asking())
	const want = `forbidden: User "mira" cannot create resource "pods/portforward" in API group ""`
	if got := s.Gaps["answers/kube-system/rock-dns-0"]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if why := s.Missing(facts.Answers); why != "" {
		t.Errorf("the whole source is missing: %s", why)
	}
}

// A run that ends is no server's fault.
func TestAnswersOutOfTime(t *testing.T) {
	ctx, cancel := context.WithCancel(quiet(t))
	c := rock(func(_ string, conn io.ReadWriter) string {
		_, _ = conn.Read(make([]byte, 1)) // the question has come
		cancel()
		return portforward.Mute("", conn)
	}, nil)
	srv := httptest.NewServer(c)
	defer srv.Close()
	s, err := gather.Live(ctx, &rest.Config{Host: srv.URL}, asking())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Gaps["answers/kube-system/rock-dns-0"]; got != "interrupted" || len(s.Answers) > 0 {
		t.Errorf("gap %q, %d answers", got, len(s.Answers))
	}
}

// Where there are many servers ten are asked, four at a time, those in trouble first.
func TestAnswersSample(t *testing.T) {
	c := reefs(0, 300)
	c.ports = map[string]portforward.Server{}
	var under atomic.Int64
	fifth := make(chan struct{}, 300)
	for i := range 300 {
		c.ports[reef(i)] = portforward.DNS(func(q *dns.Msg) *dns.Msg {
			if under.Add(1) > 4 {
				fifth <- struct{}{}
			}
			defer under.Add(-1)
			select {
			case <-fifth:
				fifth <- struct{}{} // for the others
			case <-time.After(200 * time.Millisecond): // none came
			}
			return new(dns.Msg).SetReply(q)
		})
	}
	s := see(t, c, asking())
	if len(s.Answers) != 10 || len(fifth) > 0 || s.Sampled["answers"] != (facts.Sample{Asked: 10, Of: 300}) {
		t.Errorf("%d answers, more than four at a time: %t, sample %v", len(s.Answers), len(fifth) > 0, s.Sampled)
	}
	for part, missing := range map[string]bool{reef(0): false, reef(50): false, reef(250): true, reef(7): false} {
		if why := s.MissingPart(facts.Answers, "kube-system/"+part); (why != "") != missing {
			t.Errorf("%s: %q", part, why)
		}
	}
}

// Of the servers that are Ready AskDNS asks for one name, whatever else is known.
func TestAskDNS(t *testing.T) {
	c := &cluster{ports: map[string]portforward.Server{"good": rcode(dns.RcodeSuccess), "sick": rcode(dns.RcodeServerFailure), "deaf": portforward.Refuse},
		instead: map[string]http.HandlerFunc{proxied + "walled/portforward": forbid("create", resource("", "pods/portforward"), "walled")}}
	b := facts.NewBuilder(now(), "v1.37.2", facts.Logs)
	for _, name := range []string{"good", "sick", "deaf", "starting", "walled"} {
		p := pod(name, "coredns", "coredns/coredns:1.14.6", "quay-1")
		if name == "starting" {
			p.Status.Conditions = nil
		}
		if err := b.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(c)
	defer srv.Close()
	var got []string
	for _, a := range gather.AskDNS(quiet(t), &rest.Config{Host: srv.URL}, b.Build()) {
		said := a.Not
		for _, answer := range a.Answers {
			said += answer.Said() + " for " + answer.Name
		}
		got = append(got, a.Pod.Name+": "+said)
	}
	const name = "kubernetes.default.svc.cluster.local."
	want := []string{"deaf: nothing listens on TCP port 53 for " + name, "good: NOERROR for " + name, "sick: SERVFAIL for " + name,
		"starting: it is not ready", `walled: forbidden: User "mira" cannot create resource "pods/portforward" in API group ""`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
