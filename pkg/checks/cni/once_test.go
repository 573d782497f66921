package cni_test

import (
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// What events and files say of a node is one finding: a fixture's lines cannot tell two in
// the same words.
func TestToldOnce(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/files-failing.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var files []facts.File
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, facts.File{Name: f.Name, Data: f.Data})
		}
	}
	s, err := facts.LoadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, r := range checks.Run(s, cni.Checks()) {
		times := map[facts.Ref]int{}
		for _, f := range r.Findings {
			if times[f.Subject]++; times[f.Subject] > 1 {
				t.Errorf("%s tells %s twice", r.Check.ID, f.Subject)
			}
			told++
		}
	}
	if told == 0 {
		t.Error("nothing was found")
	}
}
