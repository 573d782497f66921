package apply_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

func digest(t *testing.T, p fixes.Plan) string {
	t.Helper()
	d, err := apply.Digest(p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDigest(t *testing.T) {
	deployment := func(status, image, restarted string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": map[string]any{"name": "x", "namespace": "shop", "uid": "u", "resourceVersion": status},
			"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{"kubectl.kubernetes.io/restartedAt": restarted}},
				"spec": map[string]any{"image": image}}},
			"status": map[string]any{"replicas": status}}}
	}
	of := func(before, after *unstructured.Unstructured, pods ...string) string {
		p := plan(fixes.Change{Before: before, After: after})
		for _, uid := range pods {
			p.Restarts = append(p.Restarts, &facts.Pod{Namespace: "shop", Name: "cook", Rare: &facts.Rare{UID: uid}})
		}
		return digest(t, p)
	}
	want := of(deployment("1", "a", "old"), deployment("1", "b", "12:00"), "p", "q")
	if len(want) < 16 {
		t.Errorf("got %q", want)
	}
	for name, got := range map[string]string{
		"a later status":      of(deployment("2", "a", "old"), deployment("2", "b", "12:00"), "p", "q"),
		"a later restart":     of(deployment("1", "a", "old"), deployment("1", "b", "12:05"), "p", "q"),
		"pods in other order": of(deployment("1", "a", "old"), deployment("1", "b", "12:00"), "q", "p"),
	} {
		if got != want {
			t.Errorf("%s makes it another plan", name)
		}
	}
	for name, got := range map[string]string{
		"another after":   of(deployment("1", "a", "old"), deployment("1", "c", "12:00"), "p", "q"),
		"another before":  of(deployment("1", "0", "old"), deployment("1", "b", "12:00"), "p", "q"),
		"restarted since": of(deployment("1", "a", "new"), deployment("1", "b", "12:00"), "p", "q"),
		"another pod":     of(deployment("1", "a", "old"), deployment("1", "b", "12:00"), "p", "r"),
		"a pod less":      of(deployment("1", "a", "old"), deployment("1", "b", "12:00"), "p"),
		"a deletion":      of(deployment("1", "a", "old"), nil, "p", "q"),
	} {
		if got == want {
			t.Errorf("%s makes it no other plan", name)
		}
	}
}

// A status that moves every second keeps nobody from repairing.
func TestStatusMayMove(t *testing.T) {
	s, objects, p := three(t)
	moved := objects[1].DeepCopy()
	_ = unstructured.SetNestedField(moved.Object, "restarting", "status", "phase")
	s.put(moved)
	if _, err := s.applier(t).Preview(t.Context(), p); err != nil {
		t.Error(err)
	}
	if _, err := s.applier(t).Apply(t.Context(), p, nil); err != nil {
		t.Error(err)
	}
	same(t, "texts", newTexts, texts(s, objects))

	// The object of the same name that somebody made anew is another one.
	s, objects, p = three(t)
	anew := objects[1].DeepCopy()
	anew.SetUID("another")
	s.put(anew)
	if _, err := s.applier(t).Apply(t.Context(), p, nil); !errors.Is(err, apply.ErrChanged) {
		t.Errorf("got error %v", err)
	}
	same(t, "texts", oldTexts, texts(s, objects))
}

func TestSecretsAreRefused(t *testing.T) {
	secret := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret",
		"metadata": map[string]any{"name": "key", "namespace": "shop"}, "data": map[string]any{"key": "c2VjcmV0"}}}
	for name, c := range map[string]fixes.Change{"created": {After: secret}, "deleted": {Before: secret}, "changed": change(secret, "x")} {
		s := newServer(t)
		if _, err := s.applier(t).Preview(t.Context(), plan(c)); !errors.Is(err, apply.ErrSecret) {
			t.Errorf("%s: dry run: got error %v", name, err)
		}
		if r, err := s.applier(t).Apply(t.Context(), plan(c), nil); r != nil || !errors.Is(err, apply.ErrSecret) {
			t.Errorf("%s: got %+v and error %v", name, r, err)
		}
		same(t, "requests", []string(nil), s.writes())
	}
}

func TestJournalTellsAll(t *testing.T) {
	s, _, p := three(t)
	p.Finding.Message, p.Finding.Evidence = "forwards to itself", []checks.Evidence{{From: "log", Text: "Loop"}}
	p.Finding.Places = []facts.Ref{pod("resolver-a")}
	p.Rollouts = []facts.Ref{p.Finding.Subject}
	a := s.applier(t)
	a.Version, a.Who = "v1.2.3", func(context.Context) string { return "cook" }
	known := &apply.Known{Sites: []facts.Ref{p.Finding.Subject}, Faults: []apply.Fault{{Check: "x", Subject: pod("y")}}}
	if _, err := a.Apply(t.Context(), p, known); err != nil {
		t.Fatal(err)
	}
	r := only(t, a)
	same(t, "who and what", []any{"cook", "v1.2.3", "forwards to itself", p.Finding.Evidence, p.Finding.Places, p.Rollouts, known},
		[]any{r.Who, r.Version, r.Message, r.Evidence, r.Places, r.Rollouts, r.Known})
	if to(r.Steps[0].Before) != "old breakfast" || to(r.Steps[0].After) != "new breakfast" {
		t.Errorf("the entry lacks the objects: %+v", r.Steps[0])
	}
	if err := a.Close(t.Context(), r, apply.Cured, "it is gone"); err != nil {
		t.Fatal(err)
	}
	if r := only(t, a); r.State != apply.Cured || r.Outcome != "it is gone" {
		t.Errorf("got %s: %s", r.State, r.Outcome)
	}
}

// What a ConfigMap does not take as it is, it takes compressed, and a file takes the rest.
func TestLargeEntries(t *testing.T) {
	// As little as possible repeats itself in noise.
	noise := func(n int) string {
		var out strings.Builder
		for i := 0; out.Len() < n; i++ {
			sum := sha256.Sum256([]byte(fmt.Sprint(i)))
			out.WriteString(hex.EncodeToString(sum[:]))
		}
		return out.String()
	}
	for name, tt := range map[string]struct {
		text  string
		place string
	}{
		"small": {"x", "cluster"}, "long": {strings.Repeat("long ", 60_000), "cluster"}, "too long": {noise(1_400_000), ".json"},
	} {
		t.Run(name, func(t *testing.T) {
			o := configMap("menu", map[string]any{"to": "old", "text": tt.text})
			s := newServer(t, o)
			a := s.applier(t)
			r, err := a.Apply(t.Context(), plan(change(o, "new")), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(r.Place, tt.place) {
				t.Errorf("kept in %s", r.Place)
			}
			for at, entry := range s.objects {
				data, _, _ := unstructured.NestedMap(entry, "data")
				binary, _, _ := unstructured.NestedMap(entry, "binaryData")
				if strings.Contains(at, "netdoctor-repair") && len(fmt.Sprint(data, binary)) > 1<<20 {
					t.Errorf("the ConfigMap has %d bytes", len(fmt.Sprint(data, binary)))
				}
			}
			if err := a.Undo(t.Context(), only(t, a), false); err != nil {
				t.Fatal(err)
			}
			if to(s.get(o)) != "old" || only(t, a).State != apply.Undone {
				t.Error("not undone")
			}
		})
	}
}

// Wherever the process dies, a later one can carry on to either end.
func TestResumeAndUndoAfterEveryKill(t *testing.T) {
	lines := []string{"POST journal", "PATCH configmaps/breakfast", "PUT journal", "PATCH configmaps/lunch", "PUT journal", "PATCH configmaps/dinner", "PUT journal"}
	for n := range lines {
		for _, effect := range []bool{true, false} {
			for _, forward := range []bool{true, false} {
				t.Run(fmt.Sprintf("%d %s, effect %t, forward %t", n, lines[n], effect, forward), func(t *testing.T) {
					s, objects, p := three(t)
					killed(t, s, n, effect, func() { _, _ = s.applier(t).Apply(t.Context(), p, nil) })
					a := s.applier(t)
					list, err := a.Journal.List(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if len(list) == 0 {
						same(t, "texts without an entry", oldTexts, texts(s, objects))
						return
					}
					r := list[0]
					if r.State != apply.Applied && !r.Half() {
						t.Errorf("the entry says %s", r.State)
					}
					finish(t, s, a, r, objects, forward)
				})
			}
		}
	}
}

// finish brings a repair of three's to either end, and looks whether it is there.
func finish(t *testing.T, s *server, a *apply.Applier, r *apply.Repair, objects []*unstructured.Unstructured, forward bool) {
	t.Helper()
	want, state := newTexts, apply.Applied
	var err error
	if forward {
		err = a.Resume(t.Context(), r)
	} else {
		want, state = oldTexts, apply.Undone
		err = a.Undo(t.Context(), r, false)
	}
	if err != nil {
		t.Error(err)
	}
	same(t, "texts", want, texts(s, objects))
	same(t, "entry", []apply.State{state}, s.entries(t))
}

// killed runs f while, from the nth write on, nothing reaches the server any more. With
// effect that write itself still does, only its answer is lost.
func killed(t *testing.T, s *server, n int, effect bool, f func()) {
	t.Helper()
	var seen atomic.Int64 // of the server's goroutines, one for each connection
	s.before = func(line string) *metav1.Status {
		if strings.HasPrefix(line, http.MethodGet) {
			return nil
		}
		if now := seen.Add(1); now > int64(n)+1 || now == int64(n)+1 && !effect {
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	s.after = func(line string) {
		if !strings.HasPrefix(line, http.MethodGet) && seen.Load() == int64(n)+1 {
			panic(http.ErrAbortHandler)
		}
	}
	f()
	s.behave()
}

func TestResumeRefusesWhatChanged(t *testing.T) {
	s, objects, p := three(t)
	killed(t, s, 3, false, func() { _, _ = s.applier(t).Apply(t.Context(), p, nil) })
	s.put(configMap("dinner", map[string]any{"to": "soup"}))
	a := s.applier(t)
	var c *apply.Conflict
	if err := a.Resume(t.Context(), only(t, a)); !errors.As(err, &c) || c.Ref.Name != "dinner" {
		t.Errorf("got error %v", err)
	}
	same(t, "texts", []string{"new breakfast", "old lunch", "soup"}, texts(s, objects))
}

// An object that must be deleted and made anew, such as a Service with another address.
func TestMadeAnew(t *testing.T) {
	for _, n := range []int{99, 0, 1, 2, 3, 4} {
		for _, forward := range []bool{true, false} {
			t.Run(fmt.Sprint(n, forward), func(t *testing.T) {
				old := configMap("menu", map[string]any{"to": "old"})
				s := newServer(t, old)
				p := plan(fixes.Change{Before: old}, fixes.Change{After: configMap("menu", map[string]any{"to": "new"})})
				if _, err := s.applier(t).Preview(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				killed(t, s, n, true, func() { _, _ = s.applier(t).Apply(t.Context(), p, nil) })
				a, want := s.applier(t), "old"
				r := only(t, a)
				if forward && r.Half() {
					want = "new"
					if err := a.Resume(t.Context(), r); err != nil {
						t.Fatal(err)
					}
				} else if err := a.Undo(t.Context(), r, false); err != nil {
					t.Fatal(err)
				}
				if got := s.get(old); got == nil || to(got) != want {
					t.Errorf("got %v, want %s", got, want)
				}
			})
		}
	}
}
