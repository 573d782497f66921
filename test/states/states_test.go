package states

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/CASES.md anew")

const test = ".."

// TestCases holds every fault against what check says of it.
func TestCases(t *testing.T) { judgeAll(t, Cases) }

// TestShapes proves that check finds nothing in healthy clusters.
func TestShapes(t *testing.T) { judgeAll(t, Shapes) }

func judgeAll(t *testing.T, read func(string) ([]*State, error)) {
	t.Helper()
	for _, v := range judged(t, read) {
		t.Run(v.Name, func(t *testing.T) {
			if len(v.Wrongs) > 0 {
				t.Errorf("%s\ngo run ./test/states/table %s prints the report", strings.Join(v.Wrongs, "\n"), v.Name)
			}
		})
	}
}

func judged(t *testing.T, read func(string) ([]*State, error)) []*Verdict {
	t.Helper()
	all, err := read(test)
	if err != nil {
		t.Fatal(err)
	}
	var out []*Verdict
	for _, s := range all {
		v, err := Judge(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// TestPageIsUpToDate holds docs/CASES.md against the fixtures.
func TestPageIsUpToDate(t *testing.T) {
	var page strings.Builder
	Page(&page, judged(t, Cases), judged(t, Shapes))
	file := filepath.Join(test, "../docs/CASES.md")
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page.String()); diff != "" {
		t.Errorf("docs/CASES.md (-want +got; make cases writes it anew):\n%s", diff)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const baseState = `-- state.yaml --
title: a base
-- objects.yaml --
kind: Node
metadata: {name: a, labels: {kept: "1", gone: "2"}}
---
kind: Service
metadata: {namespace: x, name: s}
-- x/p/c.log --
old
-- x/p/c.previous.log --
older
`

func TestOverlay(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "shapes/base.txtar", baseState)
	write(t, dir, "cases/1.txtar", `-- state.yaml --
title: built on it
base: base
case: "1"
depth: api
expect: [x]
delete: [Service/x/s, x/p/c.previous.log]
-- objects.yaml --
kind: Node
metadata: {name: a, labels: {gone: null, new: "3"}, creationTimestamp: {{ago 90s}}}
---
kind: Node
metadata: {name: b}
-- x/p/c.log --
new
`)
	got, err := Cases(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := got[0].Files()
	const want = `---
{"kind":"Node","metadata":{"creationTimestamp":"2025-12-31T23:58:30Z","labels":{"kept":"1","new":"3"},"name":"a"}}
---
{"kind":"Node","metadata":{"name":"b"}}
`
	if diff := cmp.Diff(want, string(files[0].Data)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if len(files) != 2 || files[1].Name != "x/p/c.log" || string(files[1].Data) != "new\n" {
		t.Errorf("files: %v", files[1:])
	}
}

func TestReadRefuses(t *testing.T) {
	const fault = "title: t\ncase: '1'\n"
	for _, tc := range []struct{ name, state, want string }{
		{"no title", "case: '1'\ndepth: api\nexpect: [x]\n", "title"},
		{"nothing expected", fault + "depth: logs\n", "expect"},
		{"no reason", fault + "depth: host\n", "why"},
		{"unknown depth", fault + "depth: deep\n", "depth"},
		{"unknown field", fault + "depht: api\n", "depht"},
		{"nothing to delete", fault + "depth: api\nexpect: [x]\nbase: base\ndelete: [Pod/x/y]\n", "Pod/x/y"},
		{"unknown base", fault + "depth: api\nexpect: [x]\nbase: nowhere\n", "nowhere"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "shapes/base.txtar", baseState)
			write(t, dir, "cases/1.txtar", "-- state.yaml --\n"+tc.state)
			if _, err := Cases(dir); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that names %q", err, tc.want)
			}
		})
	}
}

// A verdict must be able to fail.
func TestJudge(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "cases/1.txtar", `-- state.yaml --
title: cluster DNS is not there, which is called something else
case: "1"
depth: api
expect: [coredns-loop]
folded: [pod-not-ready]
-- objects.yaml --
kind: Node
metadata: {name: a}
`)
	all, err := Cases(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Judge(all[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Wrongs) != 3 {
		t.Errorf("got %d wrongs, want the first root, the extra ones and what is not folded: %q", len(v.Wrongs), v.Wrongs)
	}
}
