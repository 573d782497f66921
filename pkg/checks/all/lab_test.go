package all_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

var update = flag.Bool("update", false, "write roots.txt anew")

// TestBrokenLabs holds the roots of each state that the lab was broken into, captured by
// its suite, against roots.txt. What no check can name yet has none, or a symptom.
func TestBrokenLabs(t *testing.T) {
	holdRoots(t, "test/clusters/lab", func(n *cause.Node) string { return fmt.Sprintf("%s (%s)", n.Check.ID, n.Severity) })
}

// TestProbedLabs does so with states that pods have looked at: what they met with stands below
// its cause.
func TestProbedLabs(t *testing.T) {
	holdRoots(t, "test/clusters/probe", func(n *cause.Node) string {
		text := fmt.Sprintf("%s (%s)", n.Check.ID, n.Severity)
		if ids := below(n); len(ids) > 0 {
			text += " > " + strings.Join(ids, " ")
		}
		return text
	})
}

// below names the checks of what a finding explains, each once.
func below(n *cause.Node) []string {
	var out []string
	for _, s := range n.Symptoms {
		out = append(append(out, s.Check.ID), below(s)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// holdRoots holds what is told of each root of the bundles in a directory against its
// roots.txt.
func holdRoots(t *testing.T, path string, tell func(*cause.Node) string) {
	t.Helper()
	dir := filepath.Join(root, path)
	bundles, err := filepath.Glob(filepath.Join(dir, "*.tar.gz"))
	if err != nil || len(bundles) == 0 {
		t.Fatalf("no bundles in %s: %v", dir, err)
	}
	var got strings.Builder
	for _, name := range bundles {
		s, err := facts.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		var roots []string
		for _, n := range cause.Roots(s, checks.Run(s, all.Checks())) {
			roots = append(roots, tell(n))
		}
		slices.Sort(roots)
		line := strings.TrimSuffix(filepath.Base(name), ".tar.gz") + ": " + strings.Join(roots, ", ")
		got.WriteString(strings.TrimSpace(line) + "\n")
	}
	file := filepath.Join(dir, "roots.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("roots (-want +got; go test ./pkg/checks/all -update writes %s anew):\n%s", file, diff)
	}
}

// TestLessDeep looks less deep at each of these states: a symptom that is a root there, since its cause is
// told deeper, says at which depth.
func TestLessDeep(t *testing.T) {
	told := 0
	for _, path := range []string{"test/clusters/lab/*.tar.gz", "test/clusters/probe/*.tar.gz"} {
		bundles, err := filepath.Glob(filepath.Join(root, path))
		if err != nil || len(bundles) == 0 {
			t.Fatalf("no bundles are %s: %v", path, err)
		}
		for _, name := range bundles {
			whole := load(t, name)
			causes := cause.Roots(whole, run(t, whole))
			for depth := facts.API; depth < whole.Depth; depth++ {
				s := whole.UpTo(depth)
				results := run(t, s)
				for _, n := range cause.Roots(s, results) {
					for _, c := range deeperCauses(causes, results, n) {
						told++
						if !slices.ContainsFunc(n.Deeper, func(d cause.Deeper) bool { return d.Depth > depth && slices.Contains(d.Checks, c) }) {
							t.Errorf("%s at %s: %s of %s does not name %s", name, depth, n.Check.ID, n.Subject, c.ID)
						}
					}
				}
				for _, r := range results {
					if r.Deeper > 0 && r.Check.Parts != nil {
						r.Check.Parts(s) // of a check that is not run, and must not fail
					}
				}
			}
		}
	}
	if told < 5 {
		t.Errorf("%d symptoms have their cause deeper: too few to prove anything", told)
	}
}

// deeperCauses returns the checks that explain a finding in a whole look and were not asked in one that
// is less deep.
func deeperCauses(nodes []*cause.Node, results []checks.Result, n *cause.Node) []*checks.Check {
	var out []*checks.Check
	for _, above := range nodes {
		out = append(out, deeperCauses(above.Symptoms, results, n)...)
		asked := !slices.ContainsFunc(results, func(r checks.Result) bool { return r.Check == above.Check && r.Deeper > 0 })
		if !asked && slices.ContainsFunc(above.Symptoms, func(s *cause.Node) bool { return s.Check == n.Check && s.Subject == n.Subject }) {
			out = append(out, above.Check)
		}
	}
	return out
}
