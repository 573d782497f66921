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
