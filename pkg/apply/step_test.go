package apply_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// with returns an object whose spec is what the JSON text says.
func with(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	text, err := json.Marshal(specOf("SPEC").Object)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, []byte(strings.Replace(string(text), `"SPEC"`, spec, 1)))
}

// decoded keeps whole numbers whole, as the API machinery does.
func decoded(t *testing.T, text []byte) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return u
}

func specOf(v any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "till", "namespace": "shop"}, "spec": v,
	}}
}

// patched applies a patch with the API server's library.
func patched(t *testing.T, ops []apply.Operation, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	t.Helper()
	text, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	p, err := jsonpatch.DecodePatch(text)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	if doc, err = p.Apply(doc); err != nil {
		return nil, err
	}
	return decoded(t, doc), nil
}

// leads applies a patch that must lead from one object to the other.
func leads(t *testing.T, ops []apply.Operation, from, to *unstructured.Unstructured) {
	t.Helper()
	got, err := patched(t, ops, from)
	if err != nil {
		t.Errorf("%v\npatch: %+v", err, ops)
		return
	}
	text, err := json.Marshal(to.Object)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decoded(t, text).Object, got.Object); diff != "" {
		t.Errorf("(-want +got):\n%s\npatch: %+v", diff, ops)
	}
}

func TestPatchLeadsThereAndBack(t *testing.T) {
	tests := []struct{ name, before, after string }{
		{"slash and tilde in keys", `{"a/b": 1, "c~d": 2, "~1": 3, "~0/": 4}`, `{"a/b": 2, "c~d": 1, "/~1": 3, "~0/": 5}`},
		{"slash in a nested key", `{"annotations": {"dns.example.org/ttl~x": {"y": 1}}}`, `{"annotations": {"dns.example.org/ttl~x": {"y": 2}}}`},
		{"null to value", `{"policy": null}`, `{"policy": "Default"}`},
		{"null to absent", `{"policy": null, "x": 1}`, `{"x": 1}`},
		{"value to null", `{"x": {"y": []}}`, `{"x": null}`},
		{"empty values", `{"a": "", "b": {}, "c": [], "d": false, "e": 0}`, `{"a": {}, "b": [], "c": "", "d": 0, "e": false}`},
		{"elements added", `{"args": ["-v"]}`, `{"args": ["-v", "-x", "-y"]}`},
		{"elements removed", `{"args": ["-v", "-x", "-y"]}`, `{"args": ["-v"]}`},
		{"all elements removed", `{"args": ["-v", "-x"]}`, `{"args": []}`},
		{"element removed in front", `{"args": ["-a", "-b", "-c"]}`, `{"args": ["-b", "-c"]}`},
		{"element added in front", `{"args": ["-b", "-c"]}`, `{"args": ["-a", "-b", "-c"]}`},
		{"element changed", `{"c": [{"n": "x", "p": [53]}, {"n": "y"}]}`, `{"c": [{"n": "x", "p": [53, 9153]}, {"n": "y", "q": 1}]}`},
		{"element of another type", `{"c": [1, "x", {"y": 1}]}`, `{"c": ["x", {"y": 1}, 1]}`},
		{"element named anew", `{"c": [{"name": "x", "a": 1}]}`, `{"c": [{"name": "y", "b": 1}]}`},
		{"list in list", `{"c": [[1, 2], [3]]}`, `{"c": [[1], [3, 4], [5]]}`},
		{"everything", `{"x": 1}`, `"gone"`},
		{"the same", `{"x": [1]}`, `{"x": [1]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := fixes.Change{Before: with(t, tt.before), After: with(t, tt.after)}
			for _, c := range []fixes.Change{c, c.Inverse()} {
				ops, err := apply.Patch(c)
				if err != nil {
					t.Fatal(err)
				}
				leads(t, ops, c.Before, c.After)
				if got, want := len(ops) == 0, tt.before == tt.after; got != want {
					t.Errorf("empty patch: got %t, want %t", got, want)
				}
			}
		})
	}
}

func TestPatchOfOneSide(t *testing.T) {
	for _, c := range []fixes.Change{{After: with(t, `{}`)}, {Before: with(t, `{}`)}} {
		if ops, err := apply.Patch(c); err != nil || len(ops) > 0 {
			t.Errorf("got %v, %v, want no patch: there is nothing to patch", ops, err)
		}
	}
}

// steps returns the steps of a plan as they come back from the journal.
func steps(t *testing.T, changes ...fixes.Change) []apply.Step {
	t.Helper()
	s := newServer(t) // it has no such objects: only the entry is written
	a := s.applier(t)
	_, _ = a.Apply(t.Context(), plan(changes...), nil)
	list, err := a.Journal.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("got %d entries and error %v, want 1 and none", len(list), err)
	}
	return list[0].Steps
}

// An undo carries no resourceVersion: it must not meddle with unrelated writes, so its
// tests are all that keeps it from overwriting related ones.
func TestUndoGuards(t *testing.T) {
	tests := []struct {
		name, before, after, now string
		want                     string // after the undo, "" where it is refused
	}{
		{"unrelated field", `{"a": 1, "b": 1}`, `{"a": 2, "b": 1}`, `{"a": 2, "b": 7}`, `{"a": 1, "b": 7}`},
		{"replaced, set again", `{"a": 1}`, `{"a": 2}`, `{"a": 3}`, ""},
		{"added, set again", `{}`, `{"a": 2}`, `{"a": 3}`, ""},
		{"added, gone", `{}`, `{"a": 2}`, `{}`, ""},
		{"removed, set again", `{"a/b": 1}`, `{}`, `{"a/b": 3}`, ""},
		{"removed, still absent", `{"a/b": 1}`, `{}`, `{"c": 3}`, `{"a/b": 1, "c": 3}`},
		{"element added, another in front", `{"l": ["x"]}`, `{"l": ["x", "y"]}`, `{"l": ["w", "x", "y"]}`, ""},
		{"element removed, another list", `{"l": ["x", "y"]}`, `{"l": ["x"]}`, `{"l": ["u", "v"]}`, ""},
		{"element removed, as it was", `{"l": ["x", "y", "z"], "m": 1}`, `{"l": ["x"], "m": 1}`, `{"l": ["x"], "m": 2}`, `{"l": ["x", "y", "z"], "m": 2}`},
		{"another element in front", `{"c": [{"name": "x", "a": 1}]}`, `{"c": [{"name": "x", "a": 2}]}`, `{"c": [{"name": "w", "a": 2}, {"name": "x", "a": 2}]}`, ""},
		{"another element behind", `{"c": [{"name": "x", "a": 1}]}`, `{"c": [{"name": "x", "a": 2}]}`, `{"c": [{"name": "x", "a": 2}, {"name": "w", "a": 2}]}`,
			`{"c": [{"name": "x", "a": 1}, {"name": "w", "a": 2}]}`},
		{"element removed below a slash", `{"l/~m": ["x", "y"]}`, `{"l/~m": ["x"]}`, `{"l/~m": ["x"], "b": 1}`, `{"l/~m": ["x", "y"], "b": 1}`},
		{"a name beside it in no list", `{"m": {"name": "x", "a": 1}}`, `{"m": {"name": "x", "a": 2}}`, `{"m": {"name": "y", "a": 2}}`, `{"m": {"name": "y", "a": 1}}`},
		{"map added, grown", `{}`, `{"m": {"x": 1}}`, `{"m": {"x": 1, "y": 2}}`, ""},
		{"large number, off by one", `{"n": 1}`, `{"n": 9007199254740993}`, `{"n": 9007199254740992}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			undo := steps(t, fixes.Change{Before: with(t, tt.before), After: with(t, tt.after)})[0].Undo
			got, err := patched(t, undo, with(t, tt.now))
			if tt.want == "" {
				if err == nil {
					t.Errorf("the undo overwrites what somebody changed:\n%v", got.Object["spec"])
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(with(t, tt.want).Object, got.Object); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// RFC 6902 wants a value with every operation but remove, null or not.
func TestOperationsHaveValues(t *testing.T) {
	ops, err := apply.Patch(fixes.Change{Before: with(t, `{"a": 1, "b": null, "c": ""}`), After: with(t, `{"a": null, "c": {}}`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		text, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Contains(string(text), `"value":`), op.Op != "remove"; got != want {
			t.Errorf("%s: has a value: got %t, want %t", text, got, want)
		}
	}
}
