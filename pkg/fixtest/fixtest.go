// Package fixtest runs fixes over fixtures and proves them honest: each change leads
// from the object that the snapshot holds to the one that was shown, its inverse leads
// back, planning changes nothing, and every fix has a fixture in which it is offered and
// one in which it is refused.
//
// A fixture is a txtar archive below testdata with the paths of a bundle and three parts
// of its own:
//
//	base    optional: the name of an archive below testdata/base whose files come first
//	params  optional: fixes.Params as JSON
//	want    what the fixes that it names answer to every finding that they cure (see describe)
//
// A carriage return is written \r there, and blanks at the end of a line do not count.
package fixtest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

type fixture struct {
	files  []facts.File
	params fixes.Params
	want   string
}

// Run runs the fixes over testdata/*.txtar.
func Run(t *testing.T, list []*fixes.Fix) {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures in testdata: %v", err)
	}
	offered, refused := map[*fixes.Fix]bool{}, map[*fixes.Fix]bool{}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			f := read(t, name)
			s := load(t, f)
			var got strings.Builder
			for _, fix := range f.told(list) {
				for _, finding := range findings(s, fix) {
					plan, err := fixes.Offer(s, fix, finding, f.params)
					offered[fix] = offered[fix] || err == nil
					refused[fix] = refused[fix] || err != nil
					got.WriteString(describe(t, fix, finding, plan, err))
					for _, c := range plan.Changes {
						symmetric(t, s, f.params, c)
					}
				}
			}
			if diff := cmp.Diff(trim(f.want), trim(got.String())); diff != "" {
				t.Errorf("(-want +got):\n%s\nwhole answer:\n%s", diff, got.String())
			}
			if !reflect.DeepEqual(s, load(t, f)) {
				t.Error("planning changed the snapshot")
			}
		})
	}
	for _, fix := range list {
		complete(t, fix, offered[fix], refused[fix])
	}
}

// told returns the fixes that a fixture tells of, or all where it names none: what it leaves out
// of a cluster is a fault to other checks, whose fixes are none of its business.
func (f fixture) told(list []*fixes.Fix) []*fixes.Fix {
	out := slices.DeleteFunc(slices.Clone(list), func(fix *fixes.Fix) bool {
		return !strings.Contains("\n"+f.want, "\n"+fix.ID+" ")
	})
	if len(out) == 0 {
		return list
	}
	return out
}

// Load reads the snapshot of a fixture, for tests that need no want part.
func Load(t *testing.T, name string) *facts.Snapshot {
	t.Helper()
	return load(t, read(t, name))
}

func read(t *testing.T, name string) fixture {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	for _, file := range archive.Files {
		switch file.Name {
		case "base":
			base := read(t, filepath.Join(filepath.Dir(name), "base", strings.TrimSpace(string(file.Data))+".txtar"))
			f.files = append(base.files, f.files...)
		case "params":
			if err := json.Unmarshal(file.Data, &f.params); err != nil {
				t.Fatalf("%s: params: %v", name, err)
			}
		case "want":
			f.want = string(file.Data)
		default:
			f.files = append(f.files, facts.File{Name: file.Name, Data: file.Data})
		}
	}
	return f
}

func load(t *testing.T, f fixture) *facts.Snapshot {
	t.Helper()
	s, err := facts.LoadFiles(f.files)
	if err != nil {
		t.Fatalf("loading fixture: %v", err)
	}
	return s
}

func findings(s *facts.Snapshot, fix *fixes.Fix) []checks.Finding {
	var out []checks.Finding
	for _, r := range checks.Run(s, fix.For) {
		out = append(out, r.Findings...)
	}
	return out
}

// describe tells a plan as text: the fix and the finding's subject, the diff, then one
// line for everything else, each with its name in front; or the error.
func describe(t *testing.T, fix *fixes.Fix, finding checks.Finding, plan fixes.Plan, err error) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s\n", fix.ID, finding.Subject.Path())
	if err != nil {
		fmt.Fprintf(&out, "error: %v\n", err)
		return out.String()
	}
	for _, c := range plan.Changes {
		text, err := apply.Diff(c.Ref(), c.Before, c.After, "repaired")
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(strings.ReplaceAll(text, "\r", `\r`))
	}
	for _, p := range plan.Restarts {
		fmt.Fprintf(&out, "restart: %s\n", p.Ref().Path())
	}
	for _, r := range plan.Rollouts {
		fmt.Fprintf(&out, "rollout: %s\n", r.Path())
	}
	for _, text := range plan.Warnings {
		fmt.Fprintf(&out, "warning: %s\n", text)
	}
	for _, text := range plan.Manual {
		fmt.Fprintf(&out, "manual: %s\n", text)
	}
	if o := plan.Owner; o != nil {
		fmt.Fprintf(&out, "owner: %s (reverts: %t): %s\n", o.Name, o.Reverts, o.Where)
	}
	return out.String()
}

// symmetric proves that Before is what the snapshot, or the params, hold, and that the patches
// which would be sent make After of it and it of After.
func symmetric(t *testing.T, s *facts.Snapshot, params fixes.Params, c fixes.Change) {
	t.Helper()
	if c.Before == nil || c.After == nil {
		if got, want := c.Inverse().Inverse(), c; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: inverted twice it is not what it was", c.Ref())
		}
		return
	}
	if reflect.DeepEqual(c.Before, c.After) {
		t.Errorf("%s: nothing is changed", c.Ref())
	}
	if onNode := fixes.IsSetting(c.Before); onNode && !heldSetting(t, s, params, c.Before) || !onNode && !held(s, c.Before) {
		t.Errorf("%s: Before is not what the snapshot holds", c.Ref())
	}
	if got, want := patched(t, c, c.Before), plain(t, c.After); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the patch does not lead to After:\n%s", c.Ref(), cmp.Diff(want, got))
	}
	if got, want := patched(t, c.Inverse(), c.After), plain(t, c.Before); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the inverse does not lead back to Before:\n%s", c.Ref(), cmp.Diff(want, got))
	}
}

// held tells whether the snapshot holds this very object.
func held(s *facts.Snapshot, o *unstructured.Unstructured) bool {
	bare := o.DeepCopy()
	unstructured.RemoveNestedField(bare.Object, "kind")
	unstructured.RemoveNestedField(bare.Object, "apiVersion")
	want, err := json.Marshal(bare.Object)
	if err != nil {
		return false
	}
	got, err := json.Marshal(s.Object(facts.Ref{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}))
	if err != nil {
		return false
	}
	var a, b map[string]any
	if json.Unmarshal(want, &a) != nil || json.Unmarshal(got, &b) != nil {
		return false
	}
	delete(b, "kind") // typed objects hold them where they were read from a file
	delete(b, "apiVersion")
	return reflect.DeepEqual(a, b)
}

func patched(t *testing.T, c fixes.Change, o *unstructured.Unstructured) any {
	t.Helper()
	ops, err := apply.Patch(c)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.DecodePatch(marshal(t, ops))
	if err != nil {
		t.Fatal(err)
	}
	out, err := patch.Apply(marshal(t, o))
	if err != nil {
		t.Fatalf("%s: %v", c.Ref(), err)
	}
	return unmarshal(t, out)
}

func plain(t *testing.T, o *unstructured.Unstructured) any { return unmarshal(t, marshal(t, o)) }

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unmarshal(t *testing.T, data []byte) (out any) {
	t.Helper()
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func trim(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimRight(line, " \t\n") + "\n")
	}
	return strings.TrimSpace(out.String())
}

func complete(t *testing.T, fix *fixes.Fix, offered, refused bool) {
	t.Helper()
	if !offered {
		t.Errorf("%s: no fixture in which it is offered", fix.ID)
	}
	if !refused {
		t.Errorf("%s: no fixture in which it is refused", fix.ID)
	}
	if len(fix.Doc) < 200 {
		t.Errorf("%s: Doc must say what it changes and what it does not cure", fix.ID)
	}
	if fix.Title == "" || len(fix.For) == 0 {
		t.Errorf("%s: a fix has a title and the checks whose findings it cures", fix.ID)
	}
}
