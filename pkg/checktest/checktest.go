// Package checktest runs a package's checks over its fixtures and proves the checks
// honest: each reads exactly the sources that it declares, changes nothing, is
// documented, and has a sick and a healthy cluster among the fixtures.
//
// A fixture is a txtar archive below testdata with the paths of a bundle (objects.yaml
// may hold objects of any kind) and a part "want" with one line per answer:
//
//	coredns-loop failed Deployment/kube-system/coredns: the message
//	coredns-pending ok
//	coredns-rbac unknown: clusterroles: forbidden
//	coredns-loop evidence Deployment/kube-system/coredns: where it stands: what it says
//	coredns-loop remedy Deployment/kube-system/coredns: what to do
//	coredns-loop severity Deployment/kube-system/coredns: error
//
// Every finding must be listed; the other lines are held against the answer where they
// are listed.
package checktest

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

type fixture struct {
	name string
	load func() (*facts.Snapshot, error)
	want []string
}

// Run runs the package's checks over testdata/*.txtar.
func Run(t *testing.T, list []*checks.Check) {
	t.Helper()
	fixtures := read(t)
	sick, healthy := map[*checks.Check]bool{}, map[*checks.Check]bool{}
	used := map[*checks.Check]map[*facts.Source]bool{}
	for _, c := range list {
		used[c] = map[*facts.Source]bool{}
	}
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			s := loaded(t, f)
			compare(t, f, checks.Run(s, list), list)
			poorer := lacking(s)
			for _, c := range list {
				honest(t, s, poorer, c, used[c])
			}
			same(t, s, loaded(t, f))
		})
		for _, line := range f.want {
			id, rest, _ := strings.Cut(line, " ")
			for _, c := range list {
				sick[c] = sick[c] || c.ID == id && strings.HasPrefix(rest, "failed")
				healthy[c] = healthy[c] || c.ID == id && rest == "ok"
			}
		}
	}
	for _, c := range list {
		complete(t, c, sick[c], healthy[c], used[c])
	}
}

func read(t *testing.T) []fixture {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures in testdata: %v", err)
	}
	var out []fixture
	for _, name := range names {
		out = append(out, parse(t, name))
	}
	return out
}

// Load reads the snapshot of a fixture, for tests of what a want part cannot say.
func Load(t *testing.T, name string) *facts.Snapshot {
	t.Helper()
	return loaded(t, parse(t, name))
}

func parse(t *testing.T, name string) fixture {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f := fixture{name: strings.TrimSuffix(filepath.Base(name), ".txtar")}
	var files []facts.File
	for _, file := range archive.Files {
		if file.Name == "want" {
			f.want = lines(string(file.Data))
		} else {
			files = append(files, facts.File{Name: file.Name, Data: file.Data})
		}
	}
	f.load = func() (*facts.Snapshot, error) { return facts.LoadFiles(files) }
	return f
}

func loaded(t *testing.T, f fixture) *facts.Snapshot {
	t.Helper()
	s, err := f.load()
	if err != nil {
		t.Fatalf("loading fixture: %v", err)
	}
	return s
}

// compare holds the results against the want part. Findings that are not listed are an
// error, so that every fixture also proves what is not found.
func compare(t *testing.T, f fixture, results []checks.Result, list []*checks.Check) {
	t.Helper()
	var got []string
	for _, r := range results {
		if strings.Contains(r.Reason, "internal error") {
			t.Errorf("%s: %s", r.Check.ID, r.Reason)
		}
		got = append(got, describe(r)...)
	}
	for _, line := range f.want {
		id, _, _ := strings.Cut(line, " ")
		if !slices.ContainsFunc(list, func(c *checks.Check) bool { return c.ID == id }) {
			t.Errorf("want names %q, which is not in the list", id)
		} else if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range got {
		if strings.HasPrefix(strings.SplitN(line, " ", 2)[1], "failed ") && !slices.Contains(f.want, line) {
			t.Errorf("not wanted: %s", line)
		}
	}
	if t.Failed() {
		t.Logf("all answers:\n%s", strings.Join(got, "\n"))
	}
}

func describe(r checks.Result) []string {
	if r.Status != checks.Failed {
		line := fmt.Sprintf("%s %s", r.Check.ID, r.Status)
		if r.Reason != "" {
			line += ": " + r.Reason
		}
		return []string{line}
	}
	var out []string
	for _, f := range r.Findings {
		out = append(out, fmt.Sprintf("%s failed %s: %s", r.Check.ID, f.Subject.Path(), f.Message))
		for _, e := range f.Evidence {
			out = append(out, fmt.Sprintf("%s evidence %s: %s: %s", r.Check.ID, f.Subject.Path(), e.From, e.Text))
		}
		out = append(out, fmt.Sprintf("%s remedy %s: %s", r.Check.ID, f.Subject.Path(), f.Remedy),
			fmt.Sprintf("%s severity %s: %s", r.Check.ID, f.Subject.Path(), f.Severity))
	}
	return out
}

// honest takes each source away in turn, whole and then outside the system namespaces
// (which is not done to a live cluster where no DNS server is in these).
// What is not declared must make no difference; what is declared is noted where it does.
func honest(t *testing.T, s *facts.Snapshot, poorer map[*facts.Source]*facts.Snapshot, c *checks.Check, used map[*facts.Source]bool) {
	t.Helper()
	whole := answer(s, c)
	for _, src := range facts.Sources() {
		var all bool
		declared := slices.DeleteFunc(sources(c), func(d *facts.Source) bool { return d.All() != src })
		if len(declared) == 0 && !s.Holds(src) || answer(poorer[src], c) == whole {
			continue // of what is not there nothing can be read, declared or not
		}
		if len(declared) == 0 {
			t.Errorf("%s reads %s, which it does not declare", c.ID, src)
		}
		for _, d := range declared {
			used[d], all = true, all || d.Whole == nil
		}
		if all || len(declared) == 0 {
			continue
		}
		if narrow := s.WithSystemOnly(declared[0], "taken away"); s.PartsSuffice() && answer(narrow, c) != whole {
			t.Errorf("%s reads %s outside the system namespaces, and does not declare it", c.ID, src)
		}
	}
}

// lacking returns the snapshot without each source.
func lacking(s *facts.Snapshot) map[*facts.Source]*facts.Snapshot {
	out := map[*facts.Source]*facts.Snapshot{}
	for _, src := range facts.Sources() {
		out[src] = s.Without(src, "taken away")
	}
	return out
}

func sources(c *checks.Check) []*facts.Source { return slices.Concat(c.Needs, c.MayUse, c.IfRead) }

// answer runs a check past the gate of its Needs and tells everything that it said.
func answer(s *facts.Snapshot, c *checks.Check) (out string) {
	defer func() {
		if p := recover(); p != nil {
			out = "panic"
		}
	}()
	if c.When != nil {
		if why := c.When(s); why != "" {
			return "skipped: " + why
		}
	}
	var said strings.Builder
	for _, f := range c.Run(s) {
		fmt.Fprintf(&said, "%s %d %q %q %q %q\n", f.Subject, f.Severity, f.Message, f.Evidence, f.Remedy, f.Places)
	}
	if c.Parts != nil {
		for _, p := range c.Parts(s) {
			fmt.Fprintf(&said, "%s/%s: %s %s\n", p.Source, p.Key, s.MissingPart(p.Source, p.Key), p.Lacks)
		}
	}
	return said.String()
}

func same(t *testing.T, got, want *facts.Snapshot) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Error("a check changed the snapshot")
	}
}

func complete(t *testing.T, c *checks.Check, sick, healthy bool, used map[*facts.Source]bool) {
	t.Helper()
	if !sick {
		t.Errorf("%s: no fixture of a sick cluster (a want line %q)", c.ID, c.ID+" failed …")
	}
	if !healthy {
		t.Errorf("%s: no fixture of a healthy cluster (a want line %q)", c.ID, c.ID+" ok")
	}
	for _, src := range sources(c) {
		if !used[src] {
			t.Errorf("%s declares that it reads %s, and no fixture shows it", c.ID, src)
		}
	}
	if len(c.Doc) < 200 {
		t.Errorf("%s: Doc must say what it means, how it comes about and how to cure it", c.ID)
	}
}

func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}
