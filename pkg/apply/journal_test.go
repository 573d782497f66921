package apply_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func repair(id string) *apply.Repair {
	return &apply.Repair{ID: id, State: apply.Applied, Check: "dns-forwards", Subject: facts.Ref{Kind: "Service", Namespace: "shop", Name: "till"}}
}

func write(t *testing.T, j *apply.Journal, r *apply.Repair) {
	t.Helper()
	if err := j.Write(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// entry puts an entry into the cluster as anybody could write it.
func (s *server) entry(name, label, text string) {
	s.put(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": "kube-system", "labels": map[string]any{"app.kubernetes.io/managed-by": label}},
		"data":     map[string]any{"repair.json": text},
	}})
}

// places are the listed entries, each as "id state place".
func places(list []*apply.Repair) []string {
	var out []string
	for _, r := range list {
		out = append(out, fmt.Sprintf("%s %s %s", r.ID, r.State, r.Place))
	}
	return out
}

func TestJournalPlaces(t *testing.T) {
	s := newServer(t)
	j := s.journal(t)
	first, second, third := repair("20260301-1"), repair("20260302-1"), repair("20260303-1")
	write(t, j, second)
	s.before = on("POST journal", refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
	write(t, j, third)
	s.before = on("POST journal", refusal(http.StatusNotFound, metav1.StatusReasonNotFound)) // no such namespace
	write(t, j, first)
	s.behave()

	file := func(id string) string { return filepath.Join(j.Dir, id+".json") }
	list, err := j.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "entries, oldest first", []string{
		"20260301-1 applied " + file("20260301-1"), "20260302-1 applied cluster", "20260303-1 applied " + file("20260303-1"),
	}, places(list))

	// An entry is replaced where it is kept, though the other place is open by now.
	for _, r := range list {
		r.State = apply.Cured
		write(t, j, r)
	}
	again, err := j.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "entries after replacing them", places(list), places(again))

	// Nor does an entry of the cluster move to a file.
	s.before = on("PUT journal", refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
	if err := j.Write(t.Context(), list[1]); err == nil {
		t.Error("no error although the entry could not be replaced")
	}
	if _, err := os.Stat(file("20260302-1")); err == nil {
		t.Error("the entry is kept twice")
	}
}

// Only a refusal sends an entry to a file: after a lost answer it may be in the cluster.
func TestJournalErrorIsNoRefusal(t *testing.T) {
	s := newServer(t)
	j := s.journal(t)
	s.before = on("POST journal", refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError))
	if err := j.Write(t.Context(), repair("20260301-1")); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(j.Dir); err == nil {
		t.Error("a file was written")
	}
}

func TestJournalFilesAreTheUsersOwn(t *testing.T) {
	s := newServer(t)
	j := s.journal(t)
	s.before = on("POST journal", refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
	r := repair("20260301-1")
	for range 2 { // made, then replaced
		write(t, j, r)
		for name, want := range map[string]fs.FileMode{r.Place: 0o600, j.Dir: 0o700 | fs.ModeDir, filepath.Dir(j.Dir): 0o700 | fs.ModeDir} {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode(); got != want {
				t.Errorf("%s: got mode %v, want %v", name, got, want)
			}
		}
	}
	names, err := filepath.Glob(filepath.Join(j.Dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "files", []string{r.Place}, names)
}

func TestSameSecond(t *testing.T) {
	for name, status := range map[string]*metav1.Status{"cluster": nil, "file": refusal(http.StatusForbidden, metav1.StatusReasonForbidden)} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.before = on("POST journal", status)
			a := s.applier(t)
			seen := map[string]bool{}
			for range 2 {
				r, err := a.Apply(t.Context(), plan(), nil)
				if err != nil {
					t.Fatal(err)
				}
				seen[r.ID] = true
			}
			if len(seen) != 2 {
				t.Errorf("got ids %v, want two", seen)
			}
			// Ids may meet by chance all the same; then the first entry must survive.
			first, second := repair("20260301-225958-aaaa"), repair("20260301-225958-aaaa")
			second.Check = "other"
			write(t, a.Journal, first)
			if err := a.Journal.Write(t.Context(), second); err == nil {
				t.Error("a second repair took the first one's entry")
			}
			list, err := a.Journal.List(t.Context())
			if err != nil || len(list) != 3 {
				t.Fatalf("got %d entries and error %v, want 3", len(list), err)
			}
			for _, r := range list {
				if r.Check != "dns-forwards" {
					t.Errorf("entry %s is overwritten", r.ID)
				}
			}
		})
	}
}

func TestDamagedEntries(t *testing.T) {
	tests := []struct{ name, text string }{
		{"no JSON", "not a repair"},
		{"empty", ""},
		{"null", "null"},
		{"empty object", "{}"},
		{"a list", "[]"},
		{"cut off", `{"id": "damaged", "state": "appl`},
		{"no id", `{"state": "applied"}`},
		{"another's id", `{"id": "20260301-1", "state": "applied"}`},
		{"id that leaves the directory", `{"id": "../damaged", "state": "applied"}`},
		{"fewer steps than done", `{"id": "damaged", "state": "applied", "done": 1, "steps": []}`},
		{"less than nothing done", `{"id": "damaged", "state": "applied", "done": -1, "steps": [{}]}`},
		{"an object that is none", `{"id": "damaged", "state": "applied", "steps": [{"create": {"x": 1}}]}`},
		{"huge", strings.Repeat("[", 1<<20)},
		{"huge and foreign", `{"id": "` + strings.Repeat("x", 1<<20) + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			j := s.journal(t)
			write(t, j, repair("20260302-1"))
			s.before = on("POST journal", refusal(http.StatusForbidden, metav1.StatusReasonForbidden))
			write(t, j, repair("20260301-1"))
			good := []string{"20260301-1 applied " + filepath.Join(j.Dir, "20260301-1.json"), "20260302-1 applied cluster"}

			s.entry("netdoctor-repair-damaged", "kubectl-netdoctor", tt.text)
			one(t, j, good, "kube-system/netdoctor-repair-damaged is damaged")

			s.entry("netdoctor-repair-damaged", "somebody-else", tt.text)
			list, err := j.List(t.Context())
			if err != nil {
				t.Errorf("with a foreign label: %v", err)
			}
			same(t, "entries beside a foreign one", good, places(list))

			file := filepath.Join(j.Dir, "damaged.json")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			one(t, j, good, file+" is damaged")
		})
	}
}

// An entry that is called what no API server would take: its ID is printed and named in
// commands.
func TestIDThatIsNoName(t *testing.T) {
	for _, id := range []string{"\x1b[2J", "a b", "a;b", "--yes", "A", "a\n"} {
		s := newServer(t)
		j := s.journal(t)
		write(t, j, repair("20260302-1"))
		text, err := json.Marshal(repair(id))
		if err != nil {
			t.Fatal(err)
		}
		s.entry("netdoctor-repair-"+id, "kubectl-netdoctor", string(text))
		list, err := j.List(t.Context())
		if err == nil {
			t.Errorf("%q: got no error", id)
		}
		same(t, "entries beside it", []string{"20260302-1 applied cluster"}, places(list))
	}
}

// one wants the good entries beside one short error that names the bad one.
func one(t *testing.T, j *apply.Journal, good []string, want string) {
	t.Helper()
	list, err := j.List(t.Context())
	if text := errText(err); !strings.Contains(text, want) || strings.Contains(text, "\n") || len(text) > 300 {
		t.Errorf("got error %.500q, want one that says %q", text, want)
	}
	same(t, "entries beside the damaged one", good, places(list))
}

func TestEveryDamagedEntryIsNamed(t *testing.T) {
	s := newServer(t)
	j := s.journal(t)
	s.entry("netdoctor-repair-a", "kubectl-netdoctor", "")
	s.entry("netdoctor-repair-b", "kubectl-netdoctor", "")
	if err := os.MkdirAll(filepath.Join(j.Dir, "folder.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{".json": "{}", "z.json": "", "half.json.new": "", "notes.txt": ""} {
		if err := os.WriteFile(filepath.Join(j.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := j.List(t.Context())
	text := errText(err)
	for _, want := range []string{"netdoctor-repair-a ", "netdoctor-repair-b ", "/.json ", "z.json ", "folder.json"} {
		if !strings.Contains(text, want) {
			t.Errorf("the error does not name %s:\n%s", want, text)
		}
	}
	if len(list) > 0 || strings.Count(text, "\n") != 4 {
		t.Errorf("got %d entries and error:\n%s", len(list), text)
	}
}

func TestClusterEntriesCannotBeRead(t *testing.T) {
	s := newServer(t)
	j := s.journal(t)
	s.before = func(line string) *metav1.Status { return refusal(http.StatusForbidden, metav1.StatusReasonForbidden) }
	if list, err := j.List(t.Context()); len(list) > 0 || !strings.Contains(errText(err), "namespace kube-system") {
		t.Errorf("got %d entries and error %v, want that the cluster's could not be read", len(list), err)
	}
	write(t, j, repair("20260301-1"))
	list, err := j.List(t.Context())
	if !strings.Contains(errText(err), "namespace kube-system") {
		t.Errorf("got error %v, want that the cluster's entries could not be read", err)
	}
	same(t, "entries", []string{"20260301-1 applied " + filepath.Join(j.Dir, "20260301-1.json")}, places(list))
}
