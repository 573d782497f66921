package apply_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

var (
	noForward = &checks.Check{ID: "dns-forwards", Severity: checks.Error}
	setter    = &fixes.Fix{ID: "set-forward", For: []*checks.Check{noForward}}
)

func plan(changes ...fixes.Change) fixes.Plan {
	return fixes.Plan{Fix: setter, Changes: changes,
		Finding: checks.Finding{Check: noForward, Subject: facts.Ref{Kind: "DaemonSet", Namespace: "shop", Name: "resolver"}}}
}

func configMap(name string, data map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"}, "data": data,
	}}
}

// change is one of a ConfigMap's key "to".
func change(o *unstructured.Unstructured, to string) fixes.Change {
	after := o.DeepCopy()
	_ = unstructured.SetNestedField(after.Object, to, "data", "to")
	return fixes.Change{Before: o, After: after}
}

func to(o *unstructured.Unstructured) string {
	text, _, _ := unstructured.NestedString(o.Object, "data", "to")
	return text
}

// three are the objects of a repair in three steps.
func three(t *testing.T) (*server, []*unstructured.Unstructured, fixes.Plan) {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, name := range []string{"breakfast", "lunch", "dinner"} {
		objects = append(objects, configMap(name, map[string]any{"to": "old " + name}))
	}
	s := newServer(t, objects...)
	var changes []fixes.Change
	for _, o := range objects {
		changes = append(changes, change(o, "new "+o.GetName()))
	}
	return s, objects, plan(changes...)
}

// texts are the objects' texts as they are stored.
func texts(s *server, objects []*unstructured.Unstructured) []string {
	var out []string
	for _, o := range objects {
		out = append(out, to(s.get(o)))
	}
	return out
}

var (
	oldTexts = []string{"old breakfast", "old lunch", "old dinner"}
	newTexts = []string{"new breakfast", "new lunch", "new dinner"}
)

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestApplyJournalsFirst(t *testing.T) {
	s, objects, p := three(t)
	pod := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "cook-1", "namespace": "shop", "uid": "c1"}}}
	s.put(pod)
	p.Restarts = []*facts.Pod{{Namespace: "shop", Name: "cook-1", Rare: &facts.Rare{UID: "c1"}}}
	s.after = func(line string) {
		if line == "POST journal" {
			same(t, "entry before the first change", []apply.State{apply.Pending}, s.entries(t))
		}
	}
	a := s.applier(t)
	r, err := a.Apply(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "requests", []string{"POST journal", "PATCH configmaps/breakfast", "PUT journal", "PATCH configmaps/lunch", "PUT journal",
		"PATCH configmaps/dinner", "PUT journal", "DELETE pods/cook-1"}, s.writes())
	same(t, "texts", newTexts, texts(s, objects))
	if r.State != apply.Applied || r.Done != 3 || !r.Open() || r.Place != "cluster" {
		t.Errorf("got %s, %d steps done, kept in %q", r.State, r.Done, r.Place)
	}
	list, err := a.Journal.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("got %d entries, %v", len(list), err)
	}
	if !r.Time.Equal(a.Now()) {
		t.Errorf("got time %s, want %s", r.Time, a.Now())
	}
	r.Steps, list[0].Steps = nil, nil
	same(t, "entry", r, list[0])
	same(t, "entry's names", []string{"dns-forwards", "set-forward", "DaemonSet/shop/resolver", "canteen", s.config.Host},
		[]string{r.Check, r.Fix, r.Subject.Path(), r.Context, r.Server})
	if !strings.HasPrefix(r.ID, "20260301-225958-") {
		t.Errorf("got id %s, want the time in UTC first", r.ID)
	}
}

// Only the pod that was shown is deleted: one of the same name that came after it, or
// none, is what was wanted.
func TestRestart(t *testing.T) {
	tests := []struct {
		name, uid string
		status    *metav1.Status
		wantGone  bool
		wantErr   string
	}{
		{name: "the pod that was shown", uid: "v1", wantGone: true},
		{name: "another one by now", uid: "v0"},
		{name: "the pod that was shown, and a conflict", uid: "v1", status: refusal(409, metav1.StatusReasonConflict), wantErr: "deleting pod shop/waiter-0"},
		{name: "gone", uid: "v1", status: refusal(404, metav1.StatusReasonNotFound)},
		{name: "forbidden", uid: "v1", status: refusal(403, metav1.StatusReasonForbidden), wantErr: "deleting pod shop/waiter-0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "waiter-0", "namespace": "shop", "uid": "v1"}}}
			s := newServer(t, pod)
			s.before = on("DELETE pods/waiter-0", tt.status)
			p := plan()
			p.Restarts = []*facts.Pod{{Namespace: "shop", Name: "waiter-0", Rare: &facts.Rare{UID: tt.uid}}}
			r, err := s.applier(t).Apply(t.Context(), p, nil)
			if got := errText(err); (got == "") != (tt.wantErr == "") || !strings.Contains(got, tt.wantErr) {
				t.Errorf("got error %q, want %q", got, tt.wantErr)
			}
			if got := s.get(pod) == nil; got != tt.wantGone {
				t.Errorf("deleted: got %t, want %t", got, tt.wantGone)
			}
			if r.State != apply.Applied {
				t.Errorf("got state %s: the changes stand all the same", r.State)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRefusedWriteIsTakenBack(t *testing.T) {
	cause := metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: "data"}
	tests := []struct {
		name    string
		status  *metav1.Status
		changed bool // the answer means that the object is another one by now
	}{
		{"forbidden", refusal(http.StatusForbidden, metav1.StatusReasonForbidden), false},
		{"conflict", refusal(http.StatusConflict, metav1.StatusReasonConflict), true},
		{"patch does not apply", refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid), true},
		{"invalid", refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, cause), false},
		{"gone", refusal(http.StatusNotFound, metav1.StatusReasonNotFound), false},
		{"too many requests", refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, objects, p := three(t)
			s.before = on("PATCH configmaps/dinner", tt.status)
			r, err := s.applier(t).Apply(t.Context(), p, nil)
			if err == nil || !strings.Contains(err.Error(), "changing ConfigMap shop/dinner: ") || errors.Is(err, apply.ErrChanged) != tt.changed {
				t.Errorf("got error %v", err)
			}
			same(t, "requests", []string{"POST journal", "PATCH configmaps/breakfast", "PUT journal", "PATCH configmaps/lunch", "PUT journal",
				"PUT journal", "PATCH configmaps/lunch", "PUT journal", "PATCH configmaps/breakfast", "PUT journal"}, s.writes())
			same(t, "texts", oldTexts, texts(s, objects))
			same(t, "entry", []apply.State{apply.RolledBack}, s.entries(t))
			if r.Open() {
				t.Errorf("got state %s: nothing stands", r.State)
			}
		})
	}
}

func TestFirstWriteRefused(t *testing.T) {
	s, objects, p := three(t)
	s.before = on("PATCH configmaps/breakfast", refusal(403, metav1.StatusReasonForbidden))
	r, err := s.applier(t).Apply(t.Context(), p, nil)
	if err == nil || r.State != apply.NotApplied || r.Open() {
		t.Errorf("got %v and state %s", err, r.State)
	}
	same(t, "requests", []string{"POST journal", "PUT journal"}, s.writes())
	same(t, "texts", oldTexts, texts(s, objects))
	same(t, "entry", []apply.State{apply.NotApplied}, s.entries(t))
}

// Where taking back fails, too, something stands, and the entry must not be closed.
func TestTakingBackFails(t *testing.T) {
	s, objects, p := three(t)
	lunch := 0
	s.before = func(line string) *metav1.Status {
		if line == "PATCH configmaps/lunch" {
			lunch++
		}
		if line == "PATCH configmaps/dinner" || line == "PATCH configmaps/lunch" && lunch == 2 {
			return refusal(403, metav1.StatusReasonForbidden)
		}
		return nil
	}
	a := s.applier(t)
	r, err := a.Apply(t.Context(), p, nil)
	for _, want := range []string{"changing ConfigMap shop/dinner", "dry run on ConfigMap shop/lunch"} {
		if !strings.Contains(errText(err), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if !r.Open() {
		t.Errorf("got state %s, but two changes stand", r.State)
	}
	same(t, "texts", []string{"new breakfast", "new lunch", "old dinner"}, texts(s, objects))
	same(t, "entry", []apply.State{apply.TakingBack}, s.entries(t))

	s.behave()
	list, err := a.Journal.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Undo(t.Context(), list[0], false); err != nil {
		t.Error(err)
	}
	same(t, "texts after undo", oldTexts, texts(s, objects))
	same(t, "entry after undo", []apply.State{apply.Undone}, s.entries(t))
}

func TestPreviewWritesNothing(t *testing.T) {
	s, objects, p := three(t)
	p.Changes = append(p.Changes, fixes.Change{After: configMap("supper", map[string]any{"to": "new supper"})},
		fixes.Change{Before: objects[0]})
	got, err := s.applier(t).Preview(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, p := range got {
		refs = append(refs, p.Ref.Path())
	}
	same(t, "previews", []string{"ConfigMap/shop/breakfast", "ConfigMap/shop/lunch", "ConfigMap/shop/dinner", "ConfigMap/shop/supper", "ConfigMap/shop/breakfast"}, refs)
	if to(got[1].After) != "new lunch" || to(got[1].Before) != "old lunch" || got[3].Before != nil || to(got[3].After) != "new supper" || got[4].After != nil {
		t.Errorf("got %+v", got)
	}
	same(t, "requests", []string(nil), s.writes())

	s.put(configMap("lunch", map[string]any{"to": "old lunch", "with": "salt"}))
	if _, err := s.applier(t).Preview(t.Context(), p); !errors.Is(err, apply.ErrChanged) || !strings.Contains(err.Error(), "dry run on ConfigMap shop/lunch") {
		t.Errorf("got error %v, want that it changed since it was shown", err)
	}
}
