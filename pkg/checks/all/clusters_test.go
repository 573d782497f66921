package all_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const root = "../../../"

// bundles lists the captured clusters.
func bundles(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"test/clusters/*/bundle.json", "examples/*/bundle.json"} {
		found, err := filepath.Glob(root + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no captured cluster is at %s: %v", pattern, err)
		}
		for _, name := range found {
			out = append(out, filepath.Dir(name))
		}
	}
	return out
}

func load(t *testing.T, dir string) *facts.Snapshot {
	t.Helper()
	s, err := facts.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eachCluster(t *testing.T, prove func(t *testing.T, s *facts.Snapshot)) {
	t.Helper()
	for _, dir := range bundles(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) { prove(t, load(t, dir)) })
	}
}

// run answers every check, none of which may fall over a cluster, whole or in part.
func run(t *testing.T, s *facts.Snapshot) []checks.Result {
	t.Helper()
	results := checks.Run(s, all.Checks())
	for _, r := range results {
		if strings.HasPrefix(r.Reason, "internal error") {
			t.Errorf("%s: %s", r.Check.ID, r.Reason)
		}
		if (r.Status == checks.Unknown || r.Status == checks.Skipped) && r.Reason == "" {
			t.Errorf("%s is %s without a reason", r.Check.ID, r.Status)
		}
	}
	return results
}

func TestCapturedClusters(t *testing.T) {
	eachCluster(t, func(t *testing.T, s *facts.Snapshot) {
		status := map[checks.Status]int{}
		for _, r := range run(t, s) {
			status[r.Status]++
		}
		if healthy := strings.HasSuffix(t.Name(), "/healthy"); healthy != (status[checks.Failed] == 0) || status[checks.OK] == 0 {
			t.Errorf("%d checks found something and %d nothing", status[checks.Failed], status[checks.OK])
		}
	})
}

// What was not read is unknown, never healthy, and never sick.
func TestWithoutOneSource(t *testing.T) {
	eachCluster(t, func(t *testing.T, whole *facts.Snapshot) {
		whole.Depth = facts.Host // so that nothing is passed over as too deep
		for _, src := range facts.Sources() {
			needed := map[*checks.Check]bool{}
			for _, c := range all.Checks() {
				for _, n := range c.Needs {
					needed[c] = needed[c] || n == src
				}
			}
			why := "the reader of " + src.Name + " was turned away"
			for _, r := range run(t, whole.Without(src, why)) {
				if needed[r.Check] {
					unknown(t, r, src.Name+": "+why)
				}
			}
		}
	})
}

func unknown(t *testing.T, r checks.Result, why string) {
	t.Helper()
	if r.Status != checks.Unknown || len(r.Findings) > 0 || !strings.Contains(r.Reason, why) {
		t.Errorf("%s: got %s %q with %d findings, want unknown because of %q", r.Check.ID, r.Status, r.Reason, len(r.Findings), why)
	}
}

func TestWithoutAnySource(t *testing.T) {
	eachCluster(t, func(t *testing.T, s *facts.Snapshot) {
		s.Depth = facts.Host
		for _, src := range facts.Sources() {
			s = s.Without(src, "the API server is gone")
		}
		for _, r := range run(t, s) {
			unknown(t, r, "the API server is gone")
		}
	})
}

// A bundle whose manifest says that nothing was read holds nothing, whatever files lie
// beside it.
func TestBundleThatReadNothing(t *testing.T) {
	for _, from := range bundles(t) {
		t.Run(filepath.Base(from), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, "bundle.json")
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var manifest map[string]any
			if err := json.Unmarshal(text, &manifest); err != nil {
				t.Fatal(err)
			}
			manifest["sources"] = []string{}
			if text, err = json.Marshal(manifest); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, r := range run(t, load(t, dir)) {
				if r.Status != checks.Unknown && r.Status != checks.Skipped || len(r.Findings) > 0 {
					t.Errorf("%s: got %s with %d findings of a cluster that nobody read", r.Check.ID, r.Status, len(r.Findings))
				}
			}
		})
	}
}
