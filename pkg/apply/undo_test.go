package apply_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// applied carries the plan out and returns its entry as a later command reads it.
func applied(t *testing.T, s *server, p fixes.Plan) (*apply.Applier, *apply.Repair) {
	t.Helper()
	a := s.applier(t)
	if _, err := a.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.lines = nil
	s.mu.Unlock()
	return a, only(t, a)
}

func only(t *testing.T, a *apply.Applier) *apply.Repair {
	t.Helper()
	list, err := a.Journal.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("got %d entries and error %v, want 1 and none", len(list), err)
	}
	return list[0]
}

func TestUndoNewestFirstAndOnce(t *testing.T) {
	for name, undo := range map[apply.State]func(*apply.Applier, *testing.T, *apply.Repair) error{
		apply.Undone: func(a *apply.Applier, t *testing.T, r *apply.Repair) error { return a.Undo(t.Context(), r, false) },
		apply.RolledBack: func(a *apply.Applier, t *testing.T, r *apply.Repair) error {
			return a.RollBack(t.Context(), r, "not cured")
		},
	} {
		t.Run(string(name), func(t *testing.T) {
			s, objects, p := three(t)
			a, r := applied(t, s, p)
			if err := undo(a, t, r); err != nil {
				t.Fatal(err)
			}
			want := []string{"PUT journal", "PATCH configmaps/dinner", "PUT journal", "PATCH configmaps/lunch", "PUT journal",
				"PATCH configmaps/breakfast", "PUT journal"}
			same(t, "requests", want, s.writes())
			same(t, "texts", oldTexts, texts(s, objects))
			same(t, "entry", []apply.State{name}, s.entries(t))

			for _, again := range []*apply.Repair{r, only(t, a)} {
				err := undo(a, t, again)
				if !strings.Contains(errText(err), r.ID+" is "+string(name)+" already") || errors.Is(err, apply.ErrChanged) {
					t.Errorf("second time: got error %v", err)
				}
			}
			same(t, "requests after the second time", want, s.writes())
		})
	}
}

func TestPreviewUndo(t *testing.T) {
	s, objects, p := three(t)
	a, r := applied(t, s, p)
	got, err := a.PreviewUndo(t.Context(), r, false)
	if err != nil || len(got) != 3 {
		t.Fatalf("got %d previews and error %v", len(got), err)
	}
	if got[0].Ref.Name != "dinner" || to(got[0].Before) != "new dinner" || to(got[0].After) != "old dinner" {
		t.Errorf("got %+v first, want dinner as it is and as it would be", got[0])
	}
	same(t, "requests", []string(nil), s.writes())
	same(t, "texts", newTexts, texts(s, objects))

	s.put(configMap("lunch", map[string]any{"to": "soup"}))
	if _, err := a.PreviewUndo(t.Context(), r, false); !errors.Is(err, apply.ErrChanged) || !strings.Contains(err.Error(), "ConfigMap shop/lunch") {
		t.Errorf("got error %v, want that lunch has changed", err)
	}
}

// An undo that stops half way is taken up again where it stopped: what was taken back
// already is no change by somebody else.
func TestUndoStopsHalfWay(t *testing.T) {
	for name, stop := range map[string]func(s *server){
		"no": func(s *server) {
			s.before = onNth("PATCH configmaps/lunch", 2, refusal(500, metav1.StatusReasonInternalError))
		},
		"no answer":      func(s *server) { s.after = cutAt("PATCH configmaps/lunch", 2) },
		"journal lost":   func(s *server) { s.after = cutAt("PUT journal", 2) },
		"last word lost": func(s *server) { s.before = onNth("PUT journal", 4, refusal(500, metav1.StatusReasonInternalError)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, objects, p := three(t)
			a, r := applied(t, s, p)
			stop(s)
			_ = a.Undo(t.Context(), r, false)
			s.behave()
			if r := only(t, a); name != "journal lost" && (r.State != apply.TakingBack || !r.Half()) {
				t.Errorf("the entry does not tell that the undo stopped half way: %s", r.State)
			}
			if r = only(t, a); r.Open() {
				if _, err := a.PreviewUndo(t.Context(), r, false); err != nil {
					t.Error(err)
				}
				if err := a.Undo(t.Context(), r, false); err != nil {
					t.Error(err)
				}
			}
			same(t, "texts after the second time", oldTexts, texts(s, objects))
			same(t, "entry after the second time", []apply.State{apply.Undone}, s.entries(t))
		})
	}
}

// What somebody changed since stops an undo before anything is written, and the error
// knows the three states of the object.
func TestUndoConflict(t *testing.T) {
	s, objects, p := three(t)
	a, r := applied(t, s, p)
	s.put(configMap("lunch", map[string]any{"to": "soup", "with": "bread"}))
	err := a.Undo(t.Context(), r, false)
	var c *apply.Conflict
	if !errors.Is(err, apply.ErrChanged) || !errors.As(err, &c) {
		t.Fatalf("got error %v", err)
	}
	if to(c.Before) != "old lunch" || to(c.After) != "new lunch" || to(c.Now) != "soup" {
		t.Errorf("got %v, %v, %v", c.Before, c.After, c.Now)
	}
	same(t, "texts", []string{"new breakfast", "soup", "new dinner"}, texts(s, objects))
	same(t, "requests", []string(nil), s.writes())

	if err := a.Undo(t.Context(), only(t, a), true); err != nil {
		t.Fatal(err)
	}
	same(t, "texts after force", oldTexts, texts(s, objects))
	if with, _, _ := unstructured.NestedString(s.get(objects[1]).Object, "data", "with"); with != "bread" {
		t.Error("force did not keep what somebody added")
	}
}

func TestUndoOfNothingWritesNothing(t *testing.T) {
	s, _, p := three(t)
	a, r := applied(t, s, p)
	s.before = on("PATCH configmaps/dinner", refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
	if err := a.Undo(t.Context(), r, false); err == nil || errors.Is(err, apply.ErrChanged) {
		t.Errorf("got error %v, want that it is forbidden", err)
	}
	same(t, "requests", []string(nil), s.writes())
	if r := only(t, a); r.Done != 3 || r.State != apply.Applied {
		t.Errorf("got %s with %d steps, want the entry as it was", r.State, r.Done)
	}
}

// What others wrote beside it survives an undo.
func TestUndoLeavesOtherFields(t *testing.T) {
	s, objects, p := three(t)
	a, r := applied(t, s, p)
	s.put(configMap("lunch", map[string]any{"to": "new lunch", "with/salt~": "yes"}))
	if err := a.Undo(t.Context(), r, false); err != nil {
		t.Fatal(err)
	}
	data, _, _ := unstructured.NestedStringMap(s.get(objects[1]).Object, "data")
	same(t, "data", map[string]string{"to": "old lunch", "with/salt~": "yes"}, data)
}

func TestUndoOfCreatedAndDeleted(t *testing.T) {
	doomed := configMap("leftovers", map[string]any{"to": "the dog"})
	s := newServer(t, doomed)
	made := configMap("supper", map[string]any{"to": "us"})
	a, r := applied(t, s, plan(fixes.Change{After: made}, fixes.Change{Before: doomed}))
	if s.get(made) == nil || s.get(doomed) != nil {
		t.Fatal("not applied")
	}
	if err := a.Undo(t.Context(), r, false); err != nil {
		t.Fatal(err)
	}
	same(t, "requests", []string{"PUT journal", "POST configmaps", "PUT journal", "DELETE configmaps/supper", "PUT journal"}, s.writes())
	if s.get(made) != nil {
		t.Error("what was created is still there")
	}
	got := s.get(doomed)
	same(t, "what was deleted", doomed.Object["data"], got.Object["data"])
	if got.GetUID() == doomed.GetUID() {
		t.Error("the object came back with the identity of the deleted one")
	}
}

// An object is changed or deleted only in the version that was shown, though somebody's
// write touched no field of the plan.
func TestOnlyWhatWasShown(t *testing.T) {
	for name, of := range map[string]func(*unstructured.Unstructured) fixes.Change{
		"changed": func(o *unstructured.Unstructured) fixes.Change { return change(o, "the cat") },
		"deleted": func(o *unstructured.Unstructured) fixes.Change { return fixes.Change{Before: o} },
	} {
		t.Run(name, func(t *testing.T) {
			shown := configMap("leftovers", map[string]any{"to": "the dog"})
			s := newServer(t, shown)
			touched := shown.DeepCopy()
			touched.SetLabels(map[string]string{"cold": "yes"})
			s.put(touched)
			if _, err := s.applier(t).Apply(t.Context(), plan(of(shown)), nil); !errors.Is(err, apply.ErrChanged) {
				t.Errorf("got error %v, want that it has changed", err)
			}
			if got := s.get(shown); got == nil || to(got) != "the dog" {
				t.Errorf("got %v, want the object as somebody left it", got)
			}
		})
	}
}

// A pending repair that was never written has nothing to take back, and can be closed.
func TestUndoOfNeverWritten(t *testing.T) {
	doomed, kept := configMap("leftovers", map[string]any{"to": "the dog"}), configMap("lunch", map[string]any{"to": "old lunch"})
	made := configMap("supper", map[string]any{"to": "us"})
	s := newServer(t, doomed, kept)
	s.before = on("POST configmaps", refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout))
	a := s.applier(t)
	if _, err := a.Apply(t.Context(), plan(fixes.Change{After: made}, fixes.Change{Before: doomed}, change(kept, "new lunch")), nil); err == nil {
		t.Fatal("no error")
	}
	s.behave()
	r := only(t, a)
	previews, err := a.PreviewUndo(t.Context(), r, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range previews {
		if text, err := apply.Diff(p.Ref, p.Before, p.After, "repaired"); err != nil || text != "" {
			t.Errorf("%s: got diff %q and error %v, want none", p.Ref, text, err)
		}
	}
	if err := a.Undo(t.Context(), r, false); err != nil {
		t.Error(err)
	}
	same(t, "entry", []apply.State{apply.Undone}, s.entries(t))
	if s.get(made) != nil || s.get(doomed) == nil || to(s.get(kept)) != "old lunch" {
		t.Error("the undo of what never was changed something")
	}
}

func TestUndoOfPendingStillFails(t *testing.T) {
	s, _, p := three(t)
	s.before = on("PATCH configmaps/lunch", refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout))
	a := s.applier(t)
	if _, err := a.Apply(t.Context(), p, nil); err == nil {
		t.Fatal("no error")
	}
	s.before = on("PATCH configmaps/breakfast", refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout))
	if err := a.Undo(t.Context(), only(t, a), false); err == nil {
		t.Error("an undo without an answer passes for one of nothing")
	}
	same(t, "entry", []apply.State{apply.Pending}, s.entries(t))
}
