package integration

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

// forwarding is a change of a node's setting.
func forwarding(node string, write bool) agent.Change {
	return agent.Change{Setting: facts.Setting{Node: node, Path: "/proc/sys/net/ipv4/ip_forward", Value: ptr.To("0")}, To: ptr.To("1"), Write: write}
}

// changed is what a pod prints of a change.
func changed(t *testing.T, what *agent.Changed) string {
	t.Helper()
	var out bytes.Buffer
	if err := (&agent.Result{Version: agent.ResultVersion, Node: "a name of its own", Changed: what}).Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (f *fleet) change(ctx context.Context, c agent.Change) (*agent.Changed, []string, error) {
	var warned []string
	got, err := probe.Change(ctx, f.p.Config, c, probe.Options{Image: "example.test/doctor:1", Warn: func(what string) { warned = append(warned, what) }})
	return got, warned, err
}

// TestChangeOfNode reads and writes by a pod on the one node, though others bear its label.
func TestChangeOfNode(t *testing.T) {
	f := startFleet(t, 3)
	for _, name := range f.nodes {
		n, err := f.p.Client.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n.Labels[corev1.LabelHostname] = "one-for-all"
		if _, err := f.p.Client.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var on []string
	text := changed(t, &agent.Changed{Now: ptr.To("1")})
	f.prints = func(component, node string) string {
		mu.Lock()
		defer mu.Unlock()
		on = append(on, component+" on "+node)
		return text
	}
	for _, write := range []bool{false, true} {
		got, warned, err := f.change(t.Context(), forwarding("berth-001", write))
		if err != nil || !facts.Same(got.Now, ptr.To("1")) || len(warned) > 0 {
			t.Errorf("write %t: got %+v, warnings %q, error %v", write, got, warned, err)
		}
		f.clean(t)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"change on berth-001", "change on berth-001"}; !slices.Equal(on, want) {
		t.Errorf("pods: %q, want %q", on, want)
	}
}

// TestChangeThatNeverBegins is certain to have done nothing, within its time and without a
// trace, whether its image is missing, its pod waits, or somebody interrupts.
func TestChangeThatNeverBegins(t *testing.T) {
	f := startFleet(t, 2)
	f.refuse["berth-000"] = "ErrImagePull: no such image"
	f.idle["berth-001"] = true
	for node, want := range map[string]string{"berth-000": "its pod does not start: ErrImagePull: no such image", "berth-001": "its pod did not end in time", "berth-404": "not found"} {
		for _, write := range []bool{true, false} {
			ctx, end := context.WithTimeout(t.Context(), 5*time.Second)
			begin := time.Now()
			got, warned, err := f.change(ctx, forwarding(node, write))
			end()
			if !errors.Is(err, facts.ErrAsItWas) || !strings.Contains(err.Error(), want) || got != nil || len(warned) > 0 {
				t.Errorf("%s, write %t: got %+v, warnings %q, error %v", node, write, got, warned, err)
			}
			if took := time.Since(begin); took > 25*time.Second {
				t.Errorf("%s, write %t: it took %s", node, write, took)
			}
			f.clean(t)
		}
	}
}

// TestChangeLost: once a pod runs, nothing is certain without its word.
func TestChangeLost(t *testing.T) {
	f := startFleet(t, 2)
	f.hang["berth-000"] = true
	f.prints = func(_, _ string) string { return "exec format error\n" }
	for _, node := range f.nodes {
		ctx, end := context.WithTimeout(t.Context(), 5*time.Second)
		_, warned, err := f.change(ctx, forwarding(node, true))
		end()
		if err == nil || errors.Is(err, facts.ErrAsItWas) || !strings.Contains(err.Error(), "what became of Node "+node+" is not known") || len(warned) > 0 {
			t.Errorf("%s: warnings %q, error %v", node, warned, err)
		}
		f.clean(t)
	}
}
