package anonymity

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/anonymize"
	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const root = "../.."

// verdict is what came of capturing one state, plainly and anonymised.
type verdict struct {
	state    string
	err      error
	findings string // how what is found differs under other names
	texts    bool   // whether the texts are the same
	left     []string
	kept, of int      // addresses
	cutOut   string   // what is missed in the plain bundle
	unknown  []string // the checks that do not know there what they find in the state
}

// every keeps one of so many.
func every(n int, states []State) (out []State) {
	for i := 0; i < len(states); i += n {
		out = append(out, states[i])
	}
	return out
}

// verdicts judges every state once for all tests.
var verdicts = sync.OnceValues(func() ([]verdict, error) {
	states, err := All(root)
	if err != nil {
		return nil, err
	}
	if len(states) < 500 {
		return nil, fmt.Errorf("%d states: some were not found", len(states))
	}
	if testing.Short() { // under the race detector all of them take minutes
		states = every(16, states)
	}
	out := make([]verdict, len(states))
	var workers sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				out[i].err = out[i].judge(states[i], byte(i), byte(i>>8))
			}
		})
	}
	for i := range states {
		next <- i
	}
	close(next)
	workers.Wait()
	return out, nil
})

func (v *verdict) judge(s State, key ...byte) error {
	v.state = s.Name
	entries, err := Capture(s)
	if err != nil {
		return err
	}
	before, err := read(entries)
	if err != nil {
		return err
	}
	a, after, err := anonymized(entries, key)
	if err != nil {
		return err
	}
	state, plain, other := new(saying), new(saying), new(saying)
	if err := errors.Join(state.load(s.Files, nil), plain.load(before, a.String), other.load(after, nil)); err != nil {
		return err
	}
	v.findings = cmp.Diff(plain.found, other.found)
	v.texts = slices.Equal(plain.renamed, other.texts)
	v.unknown = silenced(state.found, plain.found)
	v.cutOut = cmp.Diff(findings(state.texts, v.unknown), findings(plain.texts, nil))
	v.left = leaks(before, after, a)
	v.kept, v.of = addresses(before, after)
	return nil
}

// anonymized makes pseudonyms of a key that is always the same, so that a state that fails
// fails again.
func anonymized(entries []facts.Entry, key []byte) (*anonymize.Anonymizer, []facts.File, error) {
	var seed [32]byte
	copy(seed[:], key)
	a, err := anonymize.New(rand.NewChaCha8(seed))
	if err != nil {
		return nil, nil, err
	}
	var out []facts.File
	err = a.Bundle(entries, func(name string, size int64, body io.Reader) error {
		data, err := io.ReadAll(body)
		if int64(len(data)) != size {
			err = fmt.Errorf("%s: %d bytes were told, %d came", name, size, len(data))
		}
		out = append(out, facts.File{Name: name, Data: data})
		return err
	})
	return a, out, err
}

func read(entries []facts.Entry) ([]facts.File, error) {
	var out []facts.File
	for _, e := range entries {
		body, err := e.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		out = append(out, facts.File{Name: e.Name, Data: data})
	}
	return out, nil
}

// each calls judge with what came of every state.
func each(t *testing.T, judge func(v verdict)) {
	t.Helper()
	all, err := verdicts()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.err != nil {
			t.Errorf("%s: %v", v.state, v.err)
			continue
		}
		judge(v)
	}
}

// Of an anonymised bundle check says what it says of the bundle itself, in other names. Some
// findings quote the first of several names, and another name may be the first afterwards: in
// few states then is a text another one, and in none what is found.
func TestSameFindings(t *testing.T) {
	same, other := 0, 0
	each(t, func(v verdict) {
		why := unlike(v.state)
		switch {
		case why != "" && v.findings == "":
			t.Errorf("%s: the findings are the same: it is none of those which are not (%s)", v.state, why)
		case why == "" && v.findings != "":
			t.Errorf("%s (-want +got):\n%s", v.state, v.findings)
		}
		if v.texts {
			same++
		} else {
			other++
		}
	})
	t.Logf("%d states are the same to the word, %d in what is found", same, other)
	if same < 9*other {
		t.Error("that are too many whose texts are others")
	}
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
// by the ids of checks, and the same with its texts, as they are and in other names.
type saying struct{ found, texts, renamed []string }

func (out *saying) load(files []facts.File, rename func(string) string) error {
	s, err := facts.LoadFiles(files)
	if err != nil {
		return err
	}
	results := checks.Run(s, all.Checks())
	roots := cause.Roots(s, results)
	for _, r := range results {
		out.found = append(out.found, fmt.Sprintf("%s %s %d", r.Check.ID, r.Status, len(r.Findings)))
	}
	for _, n := range roots {
		out.found = append(out.found, "root "+tree(n, func(facts.Ref) string { return "" }))
	}
	slices.Sort(out.found)
	out.texts = texts(results, roots, func(text string) string { return text })
	if rename != nil {
		out.renamed = texts(results, roots, rename)
	}
	return nil
}

func texts(results []checks.Result, roots []*cause.Node, rename func(string) string) []string {
	var out []string
	for _, r := range results {
		out = append(out, r.Check.ID+" "+unordered(rename(r.Reason)))
		for _, f := range r.Findings {
			lines := []string{rename(f.Subject.Path()), unordered(rename(f.Message)), unordered(rename(f.Remedy))}
			for _, e := range f.Evidence {
				lines = append(lines, unordered(rename(e.From+": "+e.Text)))
			}
			slices.Sort(lines[3:])
			out = append(out, r.Check.ID+" "+strings.Join(lines, "\n  "))
		}
	}
	for _, n := range roots {
		out = append(out, "root "+tree(n, func(r facts.Ref) string { return rename(r.Path()) }))
	}
	slices.Sort(out)
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
