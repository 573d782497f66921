package service_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/service"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

// What is only probable, or may be meant so, is told less gravely.
func TestSeverity(t *testing.T) {
	want := map[string]checks.Severity{
		"shop/front":  checks.Error,   // the pods of its namesake
		"tools/entry": checks.Warning, // other pods with a like label
		"bare/entry":  checks.Warning,
		"a/web":       checks.Warning, // an update is losing the name
		"b/cloud":     checks.Info,    // a second workload
		"c/misc":      checks.Info,
	}
	seen := map[string]bool{}
	for _, name := range []string{"selector-typo", "port-some"} {
		s := checktest.Load(t, "testdata/"+name+".txtar")
		for _, r := range checks.Run(s, service.Checks()) {
			for _, f := range r.Findings {
				seen[f.Subject.Key()] = true
				if got := f.Severity; got != want[f.Subject.Key()] {
					t.Errorf("%s: got %s, want %s", f.Subject, got, want[f.Subject.Key()])
				}
			}
		}
	}
	for subject := range want {
		if !seen[subject] {
			t.Errorf("nothing found of %s", subject)
		}
	}
}
