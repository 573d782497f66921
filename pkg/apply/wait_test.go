package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// rollout is a Deployment of three replicas, so many of which are updated and available.
func rollout(updated, available int64, reason string) *unstructured.Unstructured {
	status := map[string]any{"observedGeneration": int64(4), "replicas": int64(3), "updatedReplicas": updated, "availableReplicas": available}
	if reason != "" {
		status["conditions"] = []any{map[string]any{"type": "Progressing", "status": "False", "reason": reason}}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "cook", "namespace": "shop", "generation": int64(4)},
		"spec": map[string]any{"replicas": int64(3)}, "status": status,
	}}
}

// look is what one read gives: an object or an error.
type look struct {
	object *unstructured.Unstructured
	err    error
}

// waiting lets Wait read the looks one after the other, the last for ever, and returns
// what it showed, the time that went by inside of it, and its error.
func waiting(t *testing.T, timeout time.Duration, ref facts.Ref, looks ...look) (shown []string, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewSimpleDynamicClient(runtime.NewScheme())
		n := 0
		client.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
			l := looks[min(n, len(looks)-1)]
			n++
			if l.err != nil {
				return true, nil, l.err
			}
			return true, l.object, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		start := time.Now()
		a := &apply.Applier{Client: client, Mapper: mapper()}
		err = a.Wait(ctx, fixes.Plan{Rollouts: []facts.Ref{ref}}, func(text string) { shown = append(shown, strings.TrimSpace(text)) })
		took = time.Since(start)
	})
	return shown, took, err
}

var cook = facts.Ref{Kind: "Deployment", Namespace: "shop", Name: "cook"}

func TestWait(t *testing.T) {
	away := look{err: errors.New("connection refused")}
	stale := rollout(3, 3, "")
	stale.SetGeneration(5)
	tests := []struct {
		name  string
		looks []look
		shown []string // a part of each line
		err   string   // a part of it
		took  time.Duration
	}{
		{name: "complete at once", looks: []look{{object: rollout(3, 3, "")}}, shown: []string{"successfully rolled out"}},
		{name: "step by step", looks: []look{{object: stale}, {object: rollout(1, 0, "")}, {object: rollout(3, 2, "")}, {object: rollout(3, 3, "")}},
			shown: []string{"spec update to be observed", "1 out of 3", "2 of 3", "successfully rolled out"}, took: 3 * time.Second},
		{name: "the API server is away for a moment", looks: []look{away, away, {object: rollout(3, 3, "")}},
			shown: []string{"successfully rolled out"}, took: 2 * time.Second},
		{name: "never complete", looks: []look{{object: rollout(1, 0, "")}}, shown: slices.Repeat([]string{"1 out of 3"}, 10),
			err: "the rollout of Deployment shop/cook did not complete: Waiting for deployment", took: 9500 * time.Millisecond},
		{name: "never there", looks: []look{away}, err: "did not complete: connection refused", took: 9500 * time.Millisecond},
		{name: "the deadline of the fault, then complete", looks: []look{{object: rollout(1, 0, "ProgressDeadlineExceeded")}, {object: rollout(3, 3, "")}},
			shown: []string{"exceeded its progress deadline", "successfully rolled out"}, took: time.Second},
		{name: "past its deadline for ever", looks: []look{{object: rollout(1, 0, "ProgressDeadlineExceeded")}},
			shown: slices.Repeat([]string{"exceeded its progress deadline"}, 10), err: "exceeded its progress deadline", took: 9500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shown, took, err := waiting(t, 9500*time.Millisecond, cook, tt.looks...)
			if got := errText(err); (got == "") != (tt.err == "") || !strings.Contains(got, tt.err) {
				t.Errorf("got error %q, want %q", got, tt.err)
			}
			if took != tt.took {
				t.Errorf("got %s, want %s", took, tt.took)
			}
			if len(shown) != len(tt.shown) {
				t.Fatalf("got %q, want %q", shown, tt.shown)
			}
			for i, want := range tt.shown {
				if !strings.Contains(shown[i], want) {
					t.Errorf("line %d: got %q, want %q", i, shown[i], want)
				}
			}
		})
	}
}

// A DaemonSet whose pods are replaced by hand has no rollout; waiting would only use up
// the time.
func TestWaitForWhatHasNoRollout(t *testing.T) {
	ref := facts.Ref{Kind: "DaemonSet", Namespace: "shop", Name: "resolver"}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": map[string]any{"name": "resolver", "namespace": "shop"},
		"spec": map[string]any{"updateStrategy": map[string]any{"type": "OnDelete"}},
	}}
	_, took, err := waiting(t, time.Hour, ref, look{object: object})
	if !strings.Contains(errText(err), "DaemonSet shop/resolver") || !strings.Contains(errText(err), "RollingUpdate") || took > 0 {
		t.Errorf("got error %v after %s", err, took)
	}
	for _, kind := range []string{"Service", "Job"} { // no rollout at all
		ref.Kind = kind
		if _, took, err := waiting(t, time.Hour, ref, look{object: object}); err == nil || took > 0 {
			t.Errorf("%s: got error %v after %s", kind, err, took)
		}
	}
}

func TestSettle(t *testing.T) {
	tests := []struct {
		name         string
		settle, stop time.Duration // stop: when the context ends
		lines        int
		took         time.Duration
	}{
		{name: "to the end", settle: 3500 * time.Millisecond, stop: time.Hour, lines: 4, took: 3500 * time.Millisecond},
		{name: "nothing to wait for", stop: time.Hour, lines: 1},
		{name: "interrupted", settle: time.Minute, stop: 1500 * time.Millisecond, lines: 2, took: 1500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.stop)
				defer cancel()
				start := time.Now()
				var lines []string
				err := apply.Settle(ctx, tt.settle, func(text string) { lines = append(lines, text) })
				if got := err != nil; got != (tt.stop < tt.settle) {
					t.Errorf("got error %v", err)
				}
				if took := time.Since(start); took != tt.took || len(lines) != tt.lines {
					t.Errorf("got %s and %q, want %s and %d lines", took, lines, tt.took, tt.lines)
				}
				if want := fmt.Sprintf("for %s ", tt.settle.Round(time.Second)); !strings.Contains(lines[0], want) {
					t.Errorf("got %q first, want %q in it", lines[0], want)
				}
			})
		})
	}
}

// The status of a Deployment counts a pod for a moment after it was deleted.
func TestWaitForRestartedPods(t *testing.T) {
	pod := func(name, ready string, deleted bool) unstructured.Unstructured {
		p := unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name, "namespace": "shop", "labels": map[string]any{"app": "cook"}},
			"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": ready}}},
		}}
		if deleted {
			p.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
		}
		return p
	}
	one := rollout(1, 1, "")
	one.Object["spec"] = map[string]any{"replicas": int64(1), "selector": map[string]any{"matchLabels": map[string]any{"app": "cook"}}}
	one.Object["status"] = map[string]any{"observedGeneration": int64(4), "replicas": int64(1), "updatedReplicas": int64(1), "availableReplicas": int64(1)}
	lists := [][]unstructured.Unstructured{
		{pod("cook-a", "True", true), pod("cook-b", "False", false)},
		{pod("cook-b", "False", false)},
		{pod("cook-b", "True", false)},
	}
	var shown []string
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{{Version: "v1", Resource: "pods"}: "PodList"})
		client.PrependReactor("get", "deployments", func(clienttesting.Action) (bool, runtime.Object, error) { return true, one, nil })
		n := 0
		client.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if got := action.(clienttesting.ListAction).GetListRestrictions().Labels.String(); got != "app=cook" {
				t.Errorf("listed pods with %q, want those of the Deployment", got)
			}
			list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "PodList"}, Items: lists[min(n, len(lists)-1)]}
			n++
			return true, list, nil
		})
		a := &apply.Applier{Client: client, Mapper: mapper()}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		plan := fixes.Plan{Rollouts: []facts.Ref{cook}, Restarts: []*facts.Pod{{Namespace: "shop", Name: "cook-a"}}}
		if err := a.Wait(ctx, plan, func(text string) { shown = append(shown, strings.TrimSpace(text)) }); err != nil {
			t.Error(err)
		}
	})
	if len(shown) != 3 || shown[0] != "0 of 1 pods are ready..." || !strings.Contains(shown[2], "successfully rolled out") {
		t.Errorf("got %q, want two looks that wait and one that is content", shown)
	}
}
