package gather_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const unreached = "error trying to reach service: dial tcp 10.88.3.7:8181: connect: connection refused"

// unreachable is what the API server answers in a pod's place, in whatever encoding
// the request accepts.
func unreachable() http.HandlerFunc { return refuse(apierrors.NewServiceUnavailable(unreached)) }

// The metrics of cluster DNS are read twice, and are known only where both answers came.
func TestMetrics(t *testing.T) {
	const (
		dns  = "kube-system/orchard-dns-0"
		path = proxied + "orchard-dns-0:9153/proxy/metrics"
	)
	answers := func(answers ...http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			answers[0](w, r)
			answers = answers[1:]
		}
	}
	one, two := say(200, "text/plain", "up 1\n"), say(200, "text/plain", "up 2\n")
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		apart  time.Duration
		ended  bool // before the second answer
		texts  []string
		gap    string
	}{
		{name: "both", answer: answers(one, two), apart: 3 * time.Second, texts: []string{"up 1\n", "up 2\n"}},
		{name: "one only", answer: answers(one), texts: []string{"up 1\n"}, gap: "read once only"},
		{name: "first fails", answer: answers(unreachable()), apart: time.Second, gap: "it does not answer on port 9153"},
		{name: "second fails", answer: answers(one, unreachable()), apart: time.Second, texts: []string{"up 1\n"}, gap: unreached},
		{name: "no time for the second", answer: answers(one), apart: time.Hour, texts: []string{"up 1\n"}, gap: "timed out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := sound("orchard")
				c.instead[path] = tt.answer
				opts := everything()
				opts.Apart = tt.apart
				s, took, err := lookWithin(t, time.Minute, c, opts)
				if err != nil {
					t.Fatal(err)
				}
				var texts []string
				for _, scrape := range s.Metrics[dns] {
					texts = append(texts, scrape.Text)
				}
				if d := cmp.Diff(tt.texts, texts); d != "" {
					t.Errorf("answers (-want +got):\n%s", d)
				}
				if got := s.MissingPart(facts.Metrics, dns); got != tt.gap {
					t.Errorf("gap: got %q, want %q", got, tt.gap)
				}
				if want := min(tt.apart, time.Minute); tt.name != "first fails" && took != want {
					t.Errorf("it took %s, want %s", took, want)
				}
			})
		})
	}
}

// What a pod or a kubelet answers is kept as it is; what the API server answers in
// their place, and what ends early, is a gap of that object alone.
func TestAnswers(t *testing.T) {
	const (
		dns     = "kube-system/vineyard-dns-0"
		ready   = proxied + "vineyard-dns-0:8181/proxy/ready"
		metrics = proxied + "vineyard-dns-0:9153/proxy/metrics"
		kubelet = "/api/v1/nodes/vineyard-worker/proxy/configz"
		torn    = "unexpected error when reading response body. Please retry. Original error: unexpected EOF"
	)
	type gaps = map[string]string
	tests := []struct {
		name   string
		path   string
		answer http.HandlerFunc
		key    string // in Proxy
		body   string // that is kept there
		gaps   gaps
	}{
		{name: "not ready", path: ready, answer: say(503, "text/plain; charset=utf-8", "kubernetes,forward"), key: dns + "/8181/ready", body: "kubernetes,forward"},
		{name: "not found", path: ready, answer: say(404, "text/plain", "404 page not found\n"), key: dns + "/8181/ready", body: "404 page not found\n"},
		{name: "hostile type", path: metrics, answer: say(200, ";;= oddly", "up 1\n"), key: dns + "/9153/metrics", body: "up 1\n"},
		{name: "ready not reached", path: ready, answer: unreachable(), key: dns + "/8181/ready", gaps: gaps{"proxy/" + dns + "/8181": unreached}},
		{name: "ready not reached, in JSON", path: ready, key: dns + "/8181/ready", gaps: gaps{"proxy/" + dns + "/8181": unreached},
			answer: func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Accept", "application/json")
				unreachable()(w, r)
			}},
		{name: "ready without a word", path: ready, answer: say(503, "text/plain", ""), key: dns + "/8181/ready",
			gaps: gaps{"proxy/" + dns + "/8181": "the server is currently unable to handle the request (get pods vineyard-dns-0:8181)"}},
		{name: "proxy forbidden", path: metrics, answer: forbid("get", resource("", "pods/proxy"), "vineyard-dns-0:9153"), key: dns + "/9153/metrics",
			gaps: gaps{"proxy/" + dns + "/9153": `forbidden: User "mira" cannot get resource "pods/proxy" in API group ""`}},
		{name: "metrics cut", path: metrics, answer: cut(say(200, "text/plain", strings.Repeat("coredns_dns_requests_total 1\n", 40))), key: dns + "/9153/metrics",
			gaps: gaps{"proxy/" + dns + "/9153": "unexpected EOF"}},
		{name: "kubelet forbidden", path: kubelet, answer: forbid("get", resource("", "nodes/proxy"), "vineyard-worker"),
			gaps: gaps{"configz/vineyard-worker": `forbidden: User "mira" cannot get resource "nodes/proxy" in API group ""`}},
		{name: "kubelet not found", path: kubelet, answer: say(404, "text/plain", "404 page not found"),
			gaps: gaps{"configz/vineyard-worker": "the server could not find the requested resource (get nodes vineyard-worker)"}},
		{name: "kubelet says HTML", path: kubelet, answer: say(200, "text/html", login),
			gaps: gaps{"configz/vineyard-worker": "the kubelet's answer: not the JSON expected: invalid character '<' looking for beginning of value"}},
		{name: "kubelet says something else", path: kubelet, answer: say(200, "application/json", `{"status":"up"}`),
			gaps: gaps{"configz/vineyard-worker": `the kubelet's answer: no "kubeletconfig" in it`}},
		{name: "kubelet cut", path: kubelet, answer: cut(say(200, "application/json", configz("cluster.local"))), gaps: gaps{"configz/vineyard-worker": torn}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := sound("vineyard")
			c.instead[tt.path] = tt.answer
			want := known(t, c, "vineyard")
			if delete(want.Proxy, tt.key); tt.body != "" {
				want.Proxy[tt.key] = tt.body
			}
			for key, why := range tt.gaps {
				want.Gaps[key] = why
				delete(want.Configz, strings.TrimPrefix(key, "configz/"))
			}
			switch _, missing := tt.gaps["proxy/"+dns+"/9153"]; {
			case missing:
				want.Gaps["metrics/"+dns] = "it does not answer on port 9153"
				delete(want.Metrics, dns)
			case tt.path == metrics:
				want.Metrics[dns] = []facts.Scrape{{Text: tt.body}, {Text: tt.body}}
			}
			same(t, want, see(t, c, everything()))
		})
	}
}

// kubeletLog answers as a kubelet does: limitBytes counts from the beginning of what
// tailLines left.
func kubeletLog(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out := text
		if n, err := strconv.Atoi(r.URL.Query().Get("limitBytes")); err == nil {
			out = out[:min(n, len(out))]
		}
		fmt.Fprint(w, out)
	}
}

func lines(from, to, width int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%0*d\n", width-1, i)
	}
	return b.String()
}

// A log that is too long is cut at the start of a line, and its end is kept: that is
// where the reason for a crash stands.
func TestLongLog(t *testing.T) {
	const limit = 256 << 10
	tests := []struct{ name, text, want string }{
		{name: "as long as allowed", text: lines(0, limit/64, 64), want: lines(0, limit/64, 64)},
		{name: "one line too long", text: lines(0, limit/64+1, 64), want: lines(1, limit/64+1, 64)},
		{name: "cut within a line", text: lines(0, 9000, 100), want: lines(9000-limit/100, 9000, 100)},
		{name: "last line not ended", text: lines(0, 9000, 100) + "[FATAL] plugin/loop", want: lines(9000-(limit-19)/100, 9000, 100) + "[FATAL] plugin/loop"},
		{name: "one line alone", text: strings.Repeat("x", 3*limit) + "end\n", want: strings.Repeat("x", limit-4) + "end\n"},
		{name: "not UTF-8", text: "a\xff\xfe\x1b[31mb\n", want: "a�\x1b[31mb\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := sound("tide")
			c.instead[proxied+"tide-dns-0/log"] = kubeletLog(tt.text)
			opts := everything()
			opts.Sources = []*facts.Source{facts.Pods, facts.PodLogs}
			got := see(t, c, opts).Logs["kube-system/tide-dns-0/coredns"].Current
			if got != tt.want {
				t.Errorf("got %d bytes from %.20q to %q, want %d from %.20q to %q",
					len(got), got, got[max(0, len(got)-20):], len(tt.want), tt.want, tt.want[len(tt.want)-20:])
			}
		})
	}
}

// restarted makes the container of a pod one that ran before.
func restarted(c *cluster, name string) {
	for _, obj := range c.objects {
		if p, ok := obj.(*corev1.Pod); ok && p.Name == name {
			p.Status.ContainerStatuses[0].RestartCount = 3
			p.Status.ContainerStatuses[0].State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
		}
	}
}

// inTurn answers each time with the next, and with the last from then on.
func inTurn(answers ...http.HandlerFunc) http.HandlerFunc {
	var asked atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		answers[min(int(asked.Add(1)), len(answers))-1](w, r)
	}
}

func TestLogs(t *testing.T) {
	const path, key, gap = proxied + "cellar-dns-0/log", "kube-system/cellar-dns-0/coredns", "logs/kube-system/cellar-dns-0"
	noPrevious := refuse(apierrors.NewBadRequest(`previous terminated container "coredns" in pod "cellar-dns-0" not found`))
	broken := say(500, "text/plain", "no such file")
	const failed = `an error on the server ("no such file") has prevented the request from succeeding (get pods cellar-dns-0)`
	taken := kubeletLog("unable to retrieve container logs for containerd://97e2fed2")
	tests := []struct {
		name              string
		current, previous http.HandlerFunc
		log               facts.Log
		gap               string
		first             bool // the container has not ended yet
	}{
		{name: "both", current: kubeletLog("now\n"), previous: kubeletLog("[FATAL] loop\n"), log: facts.Log{Current: "now\n", Previous: "[FATAL] loop\n"}},
		{name: "no previous", current: kubeletLog("now\n"), previous: noPrevious, log: facts.Log{Current: "now\n"}},
		{name: "previous is gone", current: kubeletLog("now\n"), previous: taken, log: facts.Log{Current: "now\n"}},
		{name: "previous is gone, and this one goes on", current: inTurn(kubeletLog(""), kubeletLog("now\n"), kubeletLog("now\nfailed\n")), previous: taken,
			log: facts.Log{Current: "now\nfailed\n"}},
		{name: "this one takes the place of previous", current: inTurn(kubeletLog(""), kubeletLog("again\n")), previous: inTurn(taken, kubeletLog("failed\n")),
			log: facts.Log{Current: "again\n", Previous: "failed\n"}},
		{name: "this one is gone, and previous is not", current: taken, previous: kubeletLog("failed\n"), log: facts.Log{Previous: "failed\n"}},
		{name: "the first run is gone", current: taken, first: true, gap: "its last run is gone, and the next has said nothing yet: look again"},
		{name: "both are gone", current: taken, previous: taken, gap: "its last run is gone, and the next has said nothing yet: look again"},
		{name: "forbidden", current: forbid("get", resource("", "pods/log"), "cellar-dns-0"), previous: kubeletLog("before\n"),
			gap: `forbidden: User "mira" cannot get resource "pods/log" in API group ""`},
		{name: "current broken", current: broken, previous: kubeletLog("before\n"), gap: failed},
		{name: "previous broken", current: kubeletLog("now\n"), previous: broken, log: facts.Log{Current: "now\n"}, gap: failed},
		{name: "cut", current: cut(kubeletLog(lines(0, 200, 80))), previous: kubeletLog("before\n"), gap: "unexpected EOF"},
		{name: "previous cut", current: kubeletLog("now\n"), previous: cut(kubeletLog(lines(0, 200, 80))), log: facts.Log{Current: "now\n"}, gap: "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := sound("cellar")
			if !tt.first {
				restarted(c, "cellar-dns-0")
			}
			c.instead[path] = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("previous") == "true" {
					tt.previous(w, r)
					return
				}
				tt.current(w, r)
			}
			want := known(t, c, "cellar")
			if delete(want.Logs, key); tt.log != (facts.Log{}) {
				want.Logs[key] = tt.log
			}
			if tt.gap != "" {
				want.Gaps[gap] = tt.gap
			}
			same(t, want, see(t, c, everything()))
		})
	}
}

// A container that never started has written nothing; asking would only bring an error.
func TestNeverStarted(t *testing.T) {
	waiting := pod("mast-dns-0", "coredns", "coredns/coredns:1.12.1", "mast-worker")
	waiting.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	waiting.Status.PodIPs = nil
	c := &cluster{objects: []runtime.Object{waiting}, texts: map[string]string{"/version": `{"gitVersion":"v1.31.0"}`}}
	opts := everything()
	opts.Sources = []*facts.Source{facts.Pods, facts.PodLogs, facts.Proxy}
	s := see(t, c, opts)
	if d := cmp.Diff([]string{"/version", "/api/v1/pods?limit=500&resourceVersion=0"}, c.asked); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
	if got := s.MissingPart(facts.PodLogs, "kube-system/mast-dns-0"); got != "not read" {
		t.Errorf("logs: got %q, want not read", got)
	}
}

// reefs is a cluster of many nodes, of which every hundredth is of another version and
// every fiftieth is not Ready, with a CoreDNS pod on each of the first pods.
func reefs(nodes, pods int) *cluster {
	c := &cluster{texts: map[string]string{"/version": `{"gitVersion":"v1.33.1"}`}}
	for i := range nodes {
		n := &corev1.Node{ObjectMeta: named("", reef(i))}
		n.Status.NodeInfo.KubeletVersion = fmt.Sprintf("v1.%d", i%100/99)
		status := corev1.ConditionTrue
		if i%50 == 0 {
			status = corev1.ConditionUnknown
		}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
		c.objects = append(c.objects, n)
		c.texts["/api/v1/nodes/"+reef(i)+"/proxy/configz"] = configz("reef.example")
	}
	for i := range pods {
		p := pod(reef(i), "coredns", "coredns/coredns:1.12.1", reef(i))
		if i%50 == 0 {
			p.Status.Conditions = nil
		}
		c.objects = append(c.objects, p)
		c.texts[proxied+reef(i)+"/log"] = "ok\n"
		c.texts[proxied+reef(i)+":8181/proxy/ready"], c.texts[proxied+reef(i)+":9153/proxy/metrics"] = "OK", "up 1\n"
	}
	return c
}

func reef(i int) string { return fmt.Sprintf("reef-%04d", i) }

// In a large cluster a bounded number of pods and kubelets is asked: those in trouble
// first, then some of every kind. How many were asked is told; only those in trouble
// that were left out are gaps.
func TestSample(t *testing.T) {
	c := reefs(2000, 2000)
	opts := everything()
	opts.Sources = []*facts.Source{facts.Pods, facts.Nodes, facts.PodLogs, facts.Proxy, facts.Configz}
	s := see(t, c, opts)
	want := map[string]facts.Sample{"logs": {Asked: 80, Of: 2000}, "proxy": {Asked: 40, Of: 2000}, "configz": {Asked: 70, Of: 2000}}
	if d := cmp.Diff(want, s.Sampled); d != "" {
		t.Errorf("samples (-want +got):\n%s", d)
	}
	if got := []int{len(s.Logs), len(s.Proxy), len(s.Configz)}; !slices.Equal(got, []int{80, 80, 70}) {
		t.Errorf("logs, proxy, configz: %d", got)
	}
	versions := map[string]int{}
	for name := range s.Configz {
		versions[s.Node(name).Status.NodeInfo.KubeletVersion]++
	}
	if versions["v1.1"] != 20 {
		t.Errorf("the sample holds %v: not as many of the rare version as there are, up to half", versions)
	}
	for part, lost := range map[string]bool{"configz/" + reef(0): false, "configz/" + reef(1950): true, "logs/kube-system/" + reef(1950): false,
		"proxy/kube-system/" + reef(1950): true, "configz/" + reef(7): false} {
		if _, gap := s.Gaps[part]; gap != lost {
			t.Errorf("%s: gap %q", part, s.Gaps[part])
		}
	}
	if why := s.MissingPart(facts.Configz, reef(1951)); why != "" {
		t.Errorf("what is not in the sample is missing: %s", why)
	}
}

// All are asked where all are to be.
func TestAllNodes(t *testing.T) {
	c := reefs(300, 150)
	opts := everything()
	opts.Sources, opts.AllNodes = []*facts.Source{facts.Pods, facts.Nodes, facts.PodLogs, facts.Proxy, facts.Configz}, true
	s := see(t, c, opts)
	if got := []int{len(s.Logs), len(s.Proxy), len(s.Configz), len(s.Sampled)}; !slices.Equal(got, []int{150, 300, 300, 0}) {
		t.Errorf("logs, proxy, configz, samples: %d", got)
	}
}

// Names that no API server would let in reach the snapshot as they are. They bring
// about no request for anything else, and what cannot be asked for is a gap.
func TestHostileNames(t *testing.T) {
	names := []string{".", "..", "../../secrets", "a/b", "a%2Fb", "a?b=c", "a#b", "\x1b[2J", "a\x00b", "ü\u202e", "\xff\xfe", "\n", strings.Repeat("n", 1<<16)}
	for _, name := range names {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			p := pod(name, name, "coredns:"+name, name, name)
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "kube-proxy", Image: "kube-proxy"})
			c := &cluster{texts: map[string]string{"/version": `{"gitVersion":"v1.37.2"}`}, objects: []runtime.Object{
				p, &corev1.Node{ObjectMeta: named("", name)}, &corev1.Service{ObjectMeta: named(name, name)}, &corev1.Event{ObjectMeta: named(name, name), Message: name},
			}}
			opts := everything()
			opts.Record, opts.Progress = new(facts.Recorder), func(string) {}
			s := see(t, c, opts)
			if d := cmp.Diff([]string{name, name, name}, []string{s.Pods[0].Name, s.Nodes[0].Name, s.Services[0].Name}); d != "" {
				t.Errorf("names (-want +got):\n%s", d)
			}
			if s.MissingPart(facts.PodLogs, "kube-system/"+name) == "" || s.MissingPart(facts.Configz, name) == "" {
				t.Errorf("something was read: %d logs, %d configz", len(s.Logs), len(s.Configz))
			}
			for _, asked := range c.asked {
				if strings.Contains(asked, "secrets") || strings.HasPrefix(asked, "/api/v1/namespaces/kube-system/log") {
					t.Errorf("asked for %s", asked)
				}
			}
		})
	}
}
