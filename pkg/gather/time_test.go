package gather_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// slowly answers with a handler's refusal as often as given, and then as the cluster.
func slowly(c *cluster, refusals int, after string, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		refusals--
		refused := refusals >= 0
		c.mu.Unlock()
		if !refused {
			c.answer(w, r)
			return
		}
		w.Header().Set("Retry-After", after)
		say(code, "text/plain", "later")(w, r)
	}
}

// once answers with the first handler, and from then on with the second.
func once(first, then http.HandlerFunc) http.HandlerFunc {
	var asked atomic.Bool
	return func(w http.ResponseWriter, r *http.Request) {
		if asked.Swap(true) {
			then(w, r)
			return
		}
		first(w, r)
	}
}

func never(*cluster) http.HandlerFunc { return silent }

func stalled(c *cluster) http.HandlerFunc { return stall(c.answer) }

// lacking returns the snapshot without what a gap names: a source, or its part for one
// object.
func lacking(s *facts.Snapshot, key, why string) *facts.Snapshot {
	for _, src := range facts.Sources() {
		if src.Name == key {
			return s.Without(src, why)
		}
	}
	s.Gaps[key] = why
	source, part, _ := strings.Cut(key, "/")
	of := func(key string) bool { return strings.HasPrefix(key+"/", part+"/") }
	switch source {
	case "logs":
		maps.DeleteFunc(s.Logs, func(key string, _ facts.Log) bool { return of(key) })
	case "proxy":
		maps.DeleteFunc(s.Proxy, func(key, _ string) bool { return of(key) })
	case "configz":
		delete(s.Configz, part)
	}
	return s
}

// Who keeps the doctor waiting costs a bounded time and is a gap; a server that asks for
// patience gets it within that time.
func TestSilence(t *testing.T) {
	const (
		limit    = 45 * time.Second
		events   = "/api/v1/events"
		timedOut = "timed out"
	)
	objects := []*facts.Source{facts.Nodes, facts.Pods, facts.Services, facts.Events, facts.ServiceAccounts}
	tests := []struct {
		name   string
		path   string
		answer func(c *cluster) http.HandlerFunc
		asking []*facts.Source // besides objects
		gaps   map[string]string
		large  bool
		took   time.Duration
	}{
		{name: "nobody", path: "/nowhere", took: 0},
		{name: "list", path: events, answer: never, gaps: map[string]string{"events": timedOut}, took: limit},
		{name: "within a list", path: events, answer: stalled, gaps: map[string]string{"events": timedOut}, took: limit},
		{name: "within a list, once", path: events, answer: func(c *cluster) http.HandlerFunc { return once(stall(c.answer), c.answer) }, took: 16 * time.Second},
		{name: "breaks off once", path: events, answer: func(c *cluster) http.HandlerFunc { return once(cut(c.answer), c.answer) }, took: time.Second},
		{name: "breaks off once, at the second page", path: services, large: true, took: time.Second,
			answer: func(c *cluster) http.HandlerFunc { return onSecondPage(c, once(cut(c.answer), c.answer)) }},
		{name: "second page", path: services, large: true, answer: func(c *cluster) http.HandlerFunc { return onSecondPage(c, silent) },
			gaps: map[string]string{"services": timedOut}, took: limit},
		{name: "asks for patience", path: events, answer: func(c *cluster) http.HandlerFunc { return slowly(c, 2, "7", 429) }, took: 14 * time.Second},
		{name: "asks for too much", path: events, answer: func(c *cluster) http.HandlerFunc { return slowly(c, 1, "3600", 429) },
			gaps: map[string]string{"events": "the server has received too many requests and has asked us to try again later (get events)"}},
		{name: "asks for ever", path: events, answer: func(c *cluster) http.HandlerFunc { return slowly(c, 99, "1", 429) }, took: 9 * time.Second,
			gaps: map[string]string{"events": "the server has received too many requests and has asked us to try again later (get events)"}},
		{name: "fails for ever", path: events, answer: func(c *cluster) http.HandlerFunc { return slowly(c, 99, "1", 500) }, took: 9 * time.Second,
			gaps: map[string]string{"events": `an error on the server ("later") has prevented the request from succeeding (get events)`}},
		{name: "kubelet", path: "/api/v1/nodes/anchor-worker/proxy/configz", answer: never, asking: []*facts.Source{facts.Configz},
			gaps: map[string]string{"configz/anchor-worker": timedOut}, took: 10 * time.Second},
		{name: "log", path: proxied + "anchor-dns-0/log", answer: never, asking: []*facts.Source{facts.PodLogs},
			gaps: map[string]string{"logs/kube-system/anchor-dns-0": timedOut}, took: 10 * time.Second},
		{name: "within a log", path: proxied + "anchor-dns-0/log", answer: stalled, asking: []*facts.Source{facts.PodLogs},
			gaps: map[string]string{"logs/kube-system/anchor-dns-0": timedOut}, took: 10 * time.Second},
		{name: "ready", path: proxied + "anchor-dns-0:8181/proxy/ready", answer: never, asking: []*facts.Source{facts.Proxy},
			gaps: map[string]string{"proxy/kube-system/anchor-dns-0/8181": timedOut}, took: 3 * time.Second},
		{name: "within metrics", path: proxied + "anchor-dns-0:9153/proxy/metrics", answer: stalled, asking: []*facts.Source{facts.Proxy},
			gaps: map[string]string{"proxy/kube-system/anchor-dns-0/9153": timedOut}, took: 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := sound("anchor")
				if tt.large {
					c = large("anchor")
				}
				if tt.answer != nil {
					c.instead[tt.path] = tt.answer(c)
				}
				opts := everything()
				opts.Sources = append(tt.asking, objects...)
				want := known(t, c, "anchor")
				for _, src := range facts.Sources() {
					if src.Depth <= facts.Logs && !slices.Contains(opts.Sources, src) {
						want = want.Without(src, "not asked for")
					}
				}
				for key, why := range tt.gaps {
					want = lacking(want, key, why)
				}
				s, took, err := lookWithin(t, limit, c, opts)
				if err != nil {
					t.Fatal(err)
				}
				same(t, want, s)
				if took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// The first contact has a time limit of its own, or the shorter one of the whole look.
func TestSilentFromTheStart(t *testing.T) {
	for name, tt := range map[string]struct{ limit, want time.Duration }{
		"own limit": {limit: time.Hour, want: 20 * time.Second}, "the look's": {limit: 2 * time.Second, want: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, took, err := lookWithin(t, tt.limit, &cluster{all: silent}, everything())
				if s != nil || !errors.Is(err, context.DeadlineExceeded) || took != tt.want {
					t.Errorf("got snapshot %v, error %v after %v; want a timeout after %v", s, err, took, tt.want)
				}
			})
		})
	}
}

// An API server is asked several things at once, never more than eight.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sound("flotilla")
		under, release := make(chan struct{}, 100), make(chan struct{})
		version := c.texts["/version"]
		c.all = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/version" {
				say(http.StatusOK, "application/json", version)(w, r)
				return
			}
			under <- struct{}{}
			<-release
			c.answer(w, r)
		}
		done := make(chan error)
		go func() {
			_, _, err := lookWithin(t, time.Minute, c, everything())
			done <- err
		}()
		synctest.Wait()
		if got := len(under); got != 8 {
			t.Errorf("%d requests at once, want 8", got)
		}
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Ctrl-C ends a look at once; what was not read by then says so.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sound("jetty")
		ctx, cancel := context.WithCancel(t.Context())
		c.instead["/api/v1/events"] = func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}
		opts := everything()
		opts.Sources = []*facts.Source{facts.Events}
		s, took, err := lookUntil(ctx, t, c, opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Missing(facts.Events); got != "interrupted" || took != 0 {
			t.Errorf("got gap %q after %v, want interrupted at once", got, took)
		}
	})
}
