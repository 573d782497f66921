package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/test/plane"
	"github.com/kubectl-netdoctor/netdoctor/test/states"
)

// state is a cluster in which a fix may be offered.
type state struct {
	name   string
	files  []facts.File
	params fixes.Params
}

// offer is a plan that a fix makes for a state.
type offer struct {
	state
	plan fixes.Plan
}

// sick returns the fixtures of the fixes, by name.
func sick(t *testing.T) []state {
	t.Helper()
	names, err := filepath.Glob("../../pkg/fixes/testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures of fixes: %v", err)
	}
	var out []state
	for _, name := range names {
		out = append(out, fixture(t, name))
	}
	return out
}

// fixture reads one as package fixtest has them.
func fixture(t *testing.T, name string) state {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := state{name: strings.TrimSuffix(filepath.Base(name), ".txtar")}
	for _, file := range archive.Files {
		switch file.Name {
		case "base":
			base := fixture(t, filepath.Join(filepath.Dir(name), "base", strings.TrimSpace(string(file.Data))+".txtar"))
			s.files = append(base.files, s.files...)
		case "params":
			if err := json.Unmarshal(file.Data, &s.params); err != nil {
				t.Fatalf("%s: params: %v", name, err)
			}
		case "want":
		default:
			s.files = append(s.files, facts.File{Name: file.Name, Data: file.Data})
		}
	}
	return s
}

// cases returns the real faults of test/cases. Their users have servers at hand.
var cases = sync.OnceValues(func() ([]state, error) {
	all, err := states.Cases("..")
	var out []state
	for _, s := range all {
		out = append(out, state{name: "case " + s.Name, files: s.Files(), params: fixes.Params{Upstreams: []string{"10.77.0.53"}, AcceptRisk: true}})
	}
	return out, err
})

// offers returns the plans of a fix for some states: those with the most changes first,
// and of these one that restarts few pods before one that restarts many or none.
func offers(fix *fixes.Fix, in []state) []offer {
	var out []offer
	for _, s := range in {
		if p := planFor(fix, s, nil); p.err == nil {
			out = append(out, offer{s, p.plan})
		}
	}
	slices.SortStableFunc(out, func(a, b offer) int {
		x, y := len(a.plan.Restarts), len(b.plan.Restarts)
		if more := len(b.plan.Changes) - len(a.plan.Changes); more != 0 || x == y {
			return more
		}
		if x == 0 || y == 0 {
			return y - x
		}
		return x - y
	})
	return out
}

type planned struct {
	plan fixes.Plan
	err  error
}

// planFor plans for the finding with a subject, or for the first of which the fix knows
// the cure.
func planFor(fix *fixes.Fix, s state, subject *facts.Ref) planned {
	snapshot, err := facts.LoadFiles(s.files)
	if err != nil {
		return planned{err: err}
	}
	err = errors.New("nothing is found that it cures")
	for _, r := range checks.Run(snapshot, fix.For) {
		for _, f := range r.Findings {
			if subject != nil && f.Subject != *subject {
				continue
			}
			plan, refused := fixes.Offer(snapshot, fix, f, s.params)
			if refused == nil {
				return planned{plan: plan}
			}
			err = refused
		}
	}
	return planned{err: err}
}

// unmarked is when a fixture without bundle.json was taken.
var unmarked = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// today returns the state as if it had been captured at this moment.
func (s state) today(t *testing.T) (state, time.Time) {
	t.Helper()
	snapshot, err := facts.LoadFiles(s.files)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Since(snapshot.Taken).Truncate(time.Second)
	out := s
	out.files = nil
	marked := false
	for _, f := range s.files {
		marked = marked || f.Name == "bundle.json"
		out.files = append(out.files, facts.File{Name: f.Name, Data: plane.Postponed(f.Data, later)})
	}
	if !marked {
		manifest := facts.Manifest{Bundle: facts.BundleVersion, Taken: unmarked.Add(later), Server: snapshot.Server}
		for _, src := range facts.Sources() {
			if snapshot.Missing(src) == "" {
				manifest.Sources = append(manifest.Sources, src.Name)
			}
		}
		data, err := json.Marshal(manifest)
		if err != nil {
			t.Fatal(err)
		}
		out.files = append(out.files, facts.File{Name: "bundle.json", Data: data})
	}
	return out, snapshot.Taken.Add(later)
}

const objectsFile = "objects.yaml"

// objects returns the API objects of a state; one that comes twice counts as it came last.
func (s state) objects(t *testing.T) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	at := map[string]int{}
	for _, f := range s.files {
		if f.Name != objectsFile {
			continue
		}
		err := facts.Documents(bytes.NewReader(f.Data), func(raw json.RawMessage) error {
			var o struct {
				Kind     string
				Metadata struct{ Namespace, Name string }
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				return err
			}
			key := fmt.Sprint(o)
			if i, known := at[key]; known {
				out[i] = raw
				return nil
			}
			at[key] = len(out)
			out = append(out, raw)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	return out
}

// with returns the state with other objects.
func (s state) with(objects []json.RawMessage) state {
	out := s
	out.files = slices.DeleteFunc(slices.Clone(s.files), func(f facts.File) bool { return f.Name == objectsFile })
	var text bytes.Buffer
	for _, raw := range objects {
		text.WriteString("---\n")
		text.Write(raw)
		text.WriteByte('\n')
	}
	out.files = append([]facts.File{{Name: objectsFile, Data: text.Bytes()}}, out.files...)
	return out
}
