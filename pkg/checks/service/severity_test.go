package service_test

import (
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/service"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
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
	for _, name := range []string{"selector-typo", "port-some"} {
		archive, err := txtar.ParseFile("testdata/" + name + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		s, err := facts.LoadFiles([]facts.File{{Name: "objects.yaml", Data: archive.Files[0].Data}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range checks.Run(s, service.Checks()) {
			for _, f := range r.Findings {
				if got := f.Severity; got != want[f.Subject.Key()] {
					t.Errorf("%s: got %s, want %s", f.Subject, got, want[f.Subject.Key()])
				}
			}
		}
	}
}
