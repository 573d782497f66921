package gather_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
)

// parts asks for pods and Services of the system namespaces.
func parts() gather.Options {
	opts := everything()
	opts.Depth, opts.Sources = facts.API, []*facts.Source{facts.Nodes, facts.SystemPods, facts.SystemServices}
	return opts
}

// Where checks look at the system namespaces alone, nobody's applications are read, and
// the snapshot says so.
func TestSystemOnly(t *testing.T) {
	c := sound("vineyard")
	c.objects = append(c.objects, &corev1.Service{ObjectMeta: named("kube-system", "kube-dns")}, &corev1.Service{ObjectMeta: named("default", "kubernetes")})
	opts := parts()
	opts.Namespace = "vineyard" // makes no difference to what is not read there
	s := see(t, c, opts)
	for _, asked := range c.asked {
		if strings.Contains(asked, "vineyard") || strings.HasPrefix(asked, "/api/v1/pods") || strings.HasPrefix(asked, services) {
			t.Errorf("asked for %s", asked)
		}
	}
	var got []string
	for _, svc := range s.Services {
		got = append(got, svc.Namespace+"/"+svc.Name)
	}
	if d := cmp.Diff([]string{"default/kubernetes", "kube-system/kube-dns"}, got); d != "" || len(s.Pods) != 2 {
		t.Errorf("%d pods, Services (-want +got):\n%s", len(s.Pods), d)
	}
	for _, part := range []*facts.Source{facts.SystemPods, facts.SystemServices} {
		if s.Missing(part) != "" || s.Missing(part.Whole) != "not asked for outside the system namespaces" {
			t.Errorf("%s: gap %q, of the whole %q", part, s.Missing(part), s.Missing(part.Whole))
		}
	}
	if s.Missing(facts.SystemEvents) == "" {
		t.Error("what nobody asked for is known")
	}
}

// A part that cannot be read is a gap, and so is the whole.
func TestSystemOnlyFails(t *testing.T) {
	c := sound("vineyard")
	c.instead["/api/v1/namespaces/kube-system/services"] = forbid("list", resource("", "services"), "")
	s := see(t, c, parts())
	if why := s.Missing(facts.SystemServices); !strings.HasPrefix(why, "forbidden: ") || why != s.Missing(facts.Services) || len(s.Services) > 0 {
		t.Errorf("gap %q, of the whole %q, %d Services", why, s.Missing(facts.Services), len(s.Services))
	}
}

// Where the DNS server is not in a system namespace, everything is read: it may be
// anywhere.
func TestSystemIsNotEnough(t *testing.T) {
	c := sound("glacier")
	for _, obj := range c.objects {
		if p, ok := obj.(*corev1.Pod); ok {
			p.Namespace = "glacier"
		}
	}
	s := see(t, c, parts())
	if s.Missing(facts.Pods) != "" || s.Missing(facts.Services) != "" || len(s.Pods) != 2 || len(s.Services) != 3 {
		t.Errorf("gaps %q, %d pods, %d Services", s.Gaps, len(s.Pods), len(s.Services))
	}
}

// A server, or a proxy before it, that speaks nothing but JSON is as good.
func TestJSONOnly(t *testing.T) {
	c := large("quarry")
	c.all = func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/configmaps/") { // asked for by client-go
			r.Header.Set("Accept", "application/json")
		}
		c.answer(w, r)
	}
	same(t, known(t, c, "quarry"), see(t, c, everything()))
}

// A consistent list is asked for without a resourceVersion, which the API server answers
// as of now.
func TestConsistent(t *testing.T) {
	c := large("isthmus")
	opts := everything()
	opts.Consistent = true
	same(t, known(t, c, "isthmus"), see(t, c, opts))
	if d := cmp.Diff([]string{"limit=500", "continue=from-500&limit=500", "continue=from-1000&limit=500"}, c.queries(services)); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// Each read is told once with what it took, also one that failed.
func TestTrace(t *testing.T) {
	c := large("causeway")
	c.instead["/api/v1/events"] = refuse(unauthorized())
	opts := everything()
	var told []string
	var services gather.Read
	var mu sync.Mutex
	opts.Trace = func(r gather.Read) {
		mu.Lock()
		defer mu.Unlock()
		if r.Source == facts.Services {
			services = r
		}
		told = append(told, r.Source.Name)
		if (r.Err != nil) != (r.Source == facts.Events) || r.Err == nil && (r.Bytes == 0 || r.Objects == 0) {
			t.Errorf("%s: %+v", r.Source, r)
		}
	}
	see(t, c, opts)
	var want []string
	for _, src := range facts.Sources() {
		if src.Depth <= facts.Logs {
			want = append(want, src.Name)
		}
	}
	slices.Sort(want)
	slices.Sort(told)
	if d := cmp.Diff(want, told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
	if services.Objects != 1203 || services.Requests != 3 {
		t.Errorf("Services: %+v", services)
	}
}

// Lists come compressed from a server that is far away, and as they are from one that is
// near.
func TestCompression(t *testing.T) {
	for want, delay := range map[string]time.Duration{"identity": 2 * time.Millisecond, "gzip": 30 * time.Millisecond} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := sound("estuary")
				var encodings sync.Map
				c.all = func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(delay) // of the way there and back
					if r.URL.Path != "/version" {
						encodings.Store(r.Header.Get("Accept-Encoding"), r.URL.Path)
					}
					c.answer(w, r)
				}
				opts := everything()
				opts.Sources = []*facts.Source{facts.Pods, facts.Events}
				s, _, err := lookWithin(t, time.Minute, c, opts)
				if err != nil || len(s.Pods) != 2 || len(s.Events) != 1 {
					t.Fatalf("%d pods, %d events, %v", len(s.Pods), len(s.Events), err)
				}
				encodings.Range(func(got, path any) bool {
					if got != want {
						t.Errorf("%s was asked for as %s", path, got)
					}
					return true
				})
			})
		})
	}
}
