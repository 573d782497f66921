package cni_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// What events and files say of a node is one finding: a fixture's lines cannot tell two in
// the same words.
func TestToldOnce(t *testing.T) {
	s := checktest.Load(t, "testdata/files-failing.txtar")
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
