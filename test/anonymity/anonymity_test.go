package anonymity

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/anonymize"
	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const root = "../.."

func everyState(t *testing.T, do func(t *testing.T, s State, before, after []facts.File, a *anonymize.Anonymizer)) {
	t.Helper()
	states, err := All(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(states) < 500 {
		t.Fatalf("%d states: some were not found", len(states))
	}
	for i, s := range states {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			entries, err := Capture(s)
			if err != nil {
				t.Fatal(err)
			}
			a, err := anonymize.New(rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}))
			if err != nil {
				t.Fatal(err)
			}
			var after []facts.File
			err = a.Bundle(entries, func(name string, size int64, body io.Reader) error {
				data, err := io.ReadAll(body)
				if int64(len(data)) != size {
					t.Errorf("%s: %d bytes were told, %d came", name, size, len(data))
				}
				after = append(after, facts.File{Name: name, Data: data})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			do(t, s, read(t, entries), after, a)
		})
	}
}

func read(t *testing.T, entries []facts.Entry) []facts.File {
	t.Helper()
	var out []facts.File
	for _, e := range entries {
		body, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, facts.File{Name: e.Name, Data: data})
	}
	return out
}

// Of an anonymised bundle check says what it says of the bundle itself, in other names. Some
// findings quote the first of several names, and another name may be the first afterwards: in
// few states then is a text another one, and in none what is found.
func TestSameFindings(t *testing.T) {
	var same, other atomic.Int32
	t.Cleanup(func() {
		t.Logf("%d states are the same to the word, %d in what is found", same.Load(), other.Load())
		if same.Load() < 9*other.Load() {
			t.Error("that are too many whose texts are others")
		}
	})
	everyState(t, func(t *testing.T, s State, before, after []facts.File, a *anonymize.Anonymizer) {
		want, got := said(t, before, a.String), said(t, after, func(text string) string { return text })
		diff, why := cmp.Diff(want.found, got.found), unlike(s.Name)
		switch {
		case why != "" && diff == "":
			t.Errorf("the findings are the same: it is none of those which are not (%s)", why)
		case why == "" && diff != "":
			t.Errorf("(-want +got):\n%s\n%s", diff, cmp.Diff(want.texts, got.texts))
		}
		if slices.Equal(want.texts, got.texts) {
			same.Add(1)
		} else {
			other.Add(1)
		}
	})
}

// unlike says why the findings of a state are others afterwards: they come of how words look.
func unlike(state string) string {
	return map[string]string{
		"pkg/checks/service/testdata/selector-typo.txtar":                    "front-end is like frontend, of which neither half is a word of it",
		"pkg/checks/service/testdata/selector-no-candidate.txtar":            "reports, a name, is like report, a word that stays",
		"pkg/checks/coredns/testdata/coredns-zone-mismatch-some-nodes.txtar": "cluster.loca, a name, is the beginning of cluster.local, which stays",
	}[state]
}

// saying is what check says of a state, in an order that does not go by names: what was found,
// by the ids of checks, and the same with its texts.
type saying struct{ found, texts []string }

func said(t *testing.T, files []facts.File, rename func(string) string) saying {
	t.Helper()
	s, err := facts.LoadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	var out saying
	results := checks.Run(s, all.Checks())
	for _, r := range results {
		out.found = append(out.found, fmt.Sprintf("%s %s %d", r.Check.ID, r.Status, len(r.Findings)))
		out.texts = append(out.texts, r.Check.ID+" "+unordered(rename(r.Reason)))
		for _, f := range r.Findings {
			lines := []string{rename(f.Subject.Path()), unordered(rename(f.Message)), unordered(rename(f.Remedy))}
			for _, e := range f.Evidence {
				lines = append(lines, unordered(rename(e.From+": "+e.Text)))
			}
			slices.Sort(lines[3:])
			out.texts = append(out.texts, r.Check.ID+" "+strings.Join(lines, "\n  "))
		}
	}
	for _, n := range cause.Roots(s, results) {
		out.found = append(out.found, "root "+tree(n, func(facts.Ref) string { return "" }))
		out.texts = append(out.texts, "root "+tree(n, func(r facts.Ref) string { return rename(r.Path()) }))
	}
	slices.Sort(out.found)
	slices.Sort(out.texts)
	return out
}

// unordered sorts the words of a text: lists of names go by the alphabet.
func unordered(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;:()\n", r) })
	slices.Sort(words)
	return strings.Join(words, " ")
}

func tree(n *cause.Node, subject func(facts.Ref) string) string {
	var below []string
	for _, s := range n.Symptoms {
		below = append(below, tree(s, subject))
	}
	slices.Sort(below)
	return fmt.Sprintf("%s %s %v", n.Check.ID, subject(n.Subject), below)
}
