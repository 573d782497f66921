package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func word(text string) *string { return &text }

// aNode stands in for the pods on a node, and for what the API server says of the node.
type aNode struct {
	value   *string
	was     string  // the condition before anything is written; "True" by default
	ready   string  // the same with another value than the stub's; "" for none
	configz *string // with another value than the stub's
	silent  bool    // the kubelet tells its state no more
	status  int     // of the answers once something was written, where not 200
	answers []func(agent.Change) (*agent.Changed, error)
	changes []string
	asked   atomic.Int32
}

func (a *aNode) change(_ context.Context, c agent.Change) (*agent.Changed, error) {
	what := "read"
	if c.Write {
		what = "write " + *c.To
	}
	a.changes = append(a.changes, what)
	if i := len(a.changes) - 1; i < len(a.answers) && a.answers[i] != nil {
		return a.answers[i](c)
	}
	switch {
	case !c.Write:
	case !facts.Same(a.value, c.Setting.Value):
		return &agent.Changed{Now: a.value, Differs: true}, nil
	default:
		a.value = c.To
	}
	return &agent.Changed{Now: a.value}, nil
}

func (a *aNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.asked.Add(1)
	w.Header().Set("Content-Type", "application/json")
	if a.status != 0 && len(a.changes) > 0 {
		w.WriteHeader(a.status)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":"Forbidden","message":"no"}`, a.status)
		return
	}
	ready, configz := cmp.Or(a.was, "True"), a.value
	if !facts.Same(a.value, word(stubFile)) {
		ready, configz = a.ready, a.configz
	}
	if strings.HasSuffix(r.URL.Path, "/configz") {
		_ = json.NewEncoder(w).Encode(map[string]any{"kubeletconfig": map[string]any{"resolvConf": configz}})
		return
	}
	beat := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	if !a.silent {
		beat = beat.Add(time.Duration(len(a.changes)) * time.Minute)
	}
	conditions := []any{map[string]any{"type": "MemoryPressure", "status": "False"}}
	if ready != "" {
		conditions = append(conditions, map[string]any{"type": "Ready", "status": ready, "message": "PLEG is not healthy", "lastHeartbeatTime": beat})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Node", "apiVersion": "v1", "metadata": map[string]any{"name": "quince-7"}, "status": map[string]any{"conditions": conditions}})
}

func (a *aNode) nodes(t *testing.T) *nodes {
	t.Helper()
	web := httptest.NewServer(a)
	t.Cleanup(web.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: web.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &nodes{client: client, change: a.change, known: map[string]*string{}, progress: func(string) {}, patience: 300 * time.Millisecond}
}

const (
	stubFile = "/run/systemd/resolve/stub-resolv.conf"
	realFile = "/run/systemd/resolve/resolv.conf"
)

var (
	ofKubelet = facts.Setting{Node: "quince-7", Path: "/var/lib/kubelet/config.yaml", Field: "resolvConf", Unit: "kubelet.service", Value: word(stubFile)}
	ofKernel  = facts.Setting{Node: "quince-7", Path: "/proc/sys/net/ipv4/ip_forward", Value: word("0")}
)

// TestNodeSettles: a kubelet that is not well with its new value gets the old one back.
func TestNodeSettles(t *testing.T) {
	for name, tt := range map[string]struct {
		node *aNode
		why  string // "" where it is well
		lost bool   // whether the node is as it was is not known
	}{
		"well":                   {&aNode{ready: "True", configz: word(realFile)}, "", false},
		"never Ready":            {&aNode{was: "False", ready: "False", configz: word(realFile)}, "", false},
		"not Ready":              {&aNode{ready: "False", configz: word(realFile)}, "it is not Ready: PLEG is not healthy; it was put back", false},
		"not heard of":           {&aNode{ready: "Unknown", configz: word(realFile)}, "it is not Ready: PLEG is not healthy; it was put back", false},
		"without the condition":  {&aNode{configz: word(realFile)}, "it does not tell whether it is Ready; it was put back", false},
		"with the old value":     {&aNode{ready: "True", configz: word(stubFile)}, "its kubelet goes on with another resolvConf; it was put back", false},
		"with none":              {&aNode{ready: "True"}, "its kubelet goes on with another resolvConf; it was put back", false},
		"Ready as of before":     {&aNode{ready: "True", configz: word(realFile), silent: true}, "its kubelet has not told its state since it was restarted; and putting it back failed", true},
		"nobody may look at it":  {&aNode{status: http.StatusForbidden}, "no; and putting it back failed", true},
		"the API server is gone": {&aNode{status: http.StatusServiceUnavailable}, "; and putting it back failed", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := tt.node
			a.value = word(stubFile)
			n := a.nodes(t)
			begin := time.Now()
			err := n.Set(t.Context(), ofKubelet, word(realFile))
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			want := []string{"write " + realFile}
			if tt.why == "" {
				if err != nil || *a.value != realFile {
					t.Errorf("got error %v and value %s", err, *a.value)
				}
			} else {
				want = append(want, "write "+stubFile)
				if err == nil || errors.Is(err, facts.ErrAsItWas) == tt.lost || !strings.Contains(err.Error(), tt.why) || *a.value != stubFile {
					t.Errorf("got error %v and value %s", err, *a.value)
				}
			}
			if !slices.Equal(a.changes, want) {
				t.Errorf("got %q, want %q", a.changes, want)
			}
		})
	}
}

// TestNodeUnread: nothing is written on a node of which nothing is known.
func TestNodeUnread(t *testing.T) {
	a := &aNode{value: word(stubFile), changes: []string{"an earlier one"}, status: http.StatusForbidden}
	if err := a.nodes(t).Set(t.Context(), ofKubelet, word(realFile)); !errors.Is(err, facts.ErrAsItWas) || len(a.changes) > 1 {
		t.Errorf("got error %v and %q", err, a.changes)
	}
}

// TestPuttingBackFails: nothing then says that the node is as it was, or that somebody else
// has changed it, whatever it failed of.
func TestPuttingBackFails(t *testing.T) {
	for name, answer := range map[string]func(agent.Change) (*agent.Changed, error){
		"nothing done": func(agent.Change) (*agent.Changed, error) {
			return nil, errors.Join(facts.ErrAsItWas, errors.New("no pod"))
		},
		"refused": func(agent.Change) (*agent.Changed, error) { return &agent.Changed{Refused: "read-only"}, nil },
		"differs": func(agent.Change) (*agent.Changed, error) { return &agent.Changed{Differs: true}, nil },
		"broken":  func(agent.Change) (*agent.Changed, error) { return &agent.Changed{Broken: "half"}, nil },
		"unknown": func(agent.Change) (*agent.Changed, error) { return nil, errors.New("lost") },
	} {
		for _, status := range []int{0, http.StatusForbidden} {
			a := &aNode{value: word(stubFile), ready: "False", status: status, answers: []func(agent.Change) (*agent.Changed, error){nil, answer}}
			err := a.nodes(t).Set(t.Context(), ofKubelet, word(realFile))
			var api apierrors.APIStatus
			if err == nil || errors.Is(err, facts.ErrAsItWas) || errors.Is(err, apply.ErrChanged) || errors.As(err, &api) {
				t.Errorf("%s, status %d: got error %v, which says that nothing was written", name, status, err)
			}
		}
	}
}

// TestWhatNodesSay tells apart what is certain from what is not.
func TestWhatNodesSay(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	for name, tt := range map[string]struct {
		answer  agent.Changed
		err     error
		kept    bool // ErrNotWritten
		changed bool // ErrChanged
	}{
		"refused":                 {agent.Changed{Refused: "no " + long}, nil, true, false},
		"broken":                  {agent.Changed{Broken: "no " + long}, nil, false, false},
		"differs":                 {agent.Changed{Differs: true, Now: word("1")}, nil, false, true},
		"another value than told": {agent.Changed{Now: word("0")}, nil, false, false},
		"no value":                {agent.Changed{}, nil, false, false},
		"nothing done":            {agent.Changed{}, facts.ErrAsItWas, true, false},
		"lost":                    {agent.Changed{}, errors.New("lost"), false, false},
	} {
		a := &aNode{value: word("0"), answers: []func(agent.Change) (*agent.Changed, error){
			func(agent.Change) (*agent.Changed, error) { return &tt.answer, tt.err },
		}}
		err := a.nodes(t).Set(t.Context(), ofKernel, word("1"))
		if err == nil || errors.Is(err, facts.ErrAsItWas) != tt.kept || errors.Is(err, apply.ErrChanged) != tt.changed || len(err.Error()) > 400 {
			t.Errorf("%s: got error %.200v", name, err)
		}
		if a.asked.Load() > 0 {
			t.Errorf("%s: the API server was asked", name)
		}
	}
}

// TestHostileValues are what a node could say a setting is: none comes into a plan.
func TestHostileValues(t *testing.T) {
	for name, changed := range map[string]agent.Changed{
		"megabytes":      {Now: word("/" + strings.Repeat("a/b", 1<<20))},
		"escapes":        {Now: word("/etc/\x1b[2Jx")},
		"more YAML":      {Now: word("/etc/x\nstaticPodPath: /tmp")},
		"a long refusal": {Refused: strings.Repeat("x", 1<<20)},
	} {
		a := &aNode{answers: []func(agent.Change) (*agent.Changed, error){func(agent.Change) (*agent.Changed, error) { return &changed, nil }}}
		n := a.nodes(t)
		if v, err := n.Value(t.Context(), ofKubelet); err == nil || v != nil || len(err.Error()) > 400 {
			t.Errorf("%s: got %.100v, %.200v", name, v, err)
		}
		if len(n.known) > 0 {
			t.Errorf("%s: it is kept", name)
		}
	}
}

// TestValuesAreFresh: one look is enough until something was written, or found changed.
func TestValuesAreFresh(t *testing.T) {
	a := &aNode{value: word("0")}
	n := a.nodes(t)
	is := func(want string, changes ...string) {
		t.Helper()
		v, err := n.Value(t.Context(), ofKernel)
		if err != nil || !facts.Same(v, &want) || !slices.Equal(a.changes, changes) {
			t.Errorf("got %v, %v after %q, want %s after %q", v, err, a.changes, want, changes)
		}
	}
	is("0", "read")
	is("0", "read")
	if err := n.Set(t.Context(), ofKernel, word("1")); err != nil {
		t.Fatal(err)
	}
	is("1", "read", "write 1")
	a.value = word("0")
	if err := n.Set(t.Context(), ofKernel.With(word("1")), word("0")); !errors.Is(err, apply.ErrChanged) {
		t.Errorf("got error %v", err)
	}
	is("0", "read", "write 1", "write 0", "read")
	a.answers = []func(agent.Change) (*agent.Changed, error){4: func(agent.Change) (*agent.Changed, error) { return nil, errors.New("lost") }}
	if err := n.Set(t.Context(), ofKernel, word("1")); err == nil {
		t.Error("it is not lost")
	}
	is("0", "read", "write 1", "write 0", "read", "write 1", "read")
}
