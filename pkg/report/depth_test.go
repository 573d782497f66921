package report

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// TestLookAt: what a bundle holds is looked at there, what it does not hold has to be captured, with
// nothing of the flags that chose the bundle.
func TestLookAt(t *testing.T) {
	for _, tt := range []struct {
		bundle   string
		captured facts.Depth
		given    string
		want     string
	}{
		{given: "--context east -n shop", want: "kubectl netdoctor check --depth probe --context east -n shop"},
		{want: "kubectl netdoctor check --depth probe"},
		{bundle: "b.tar.gz", captured: facts.Host, given: "--from b.tar.gz", want: "kubectl netdoctor check --depth probe --from b.tar.gz"},
		{bundle: "b.tar.gz", captured: facts.Logs, given: "--from b.tar.gz", want: "kubectl netdoctor capture --depth probe"},
	} {
		if got := lookAt(Report{Bundle: tt.bundle, Captured: tt.captured, Given: tt.given}, facts.Probe); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

// TestDepthFlag lets the suggested repair see what the report saw.
func TestDepthFlag(t *testing.T) {
	shallow := &checks.Check{Needs: []*facts.Source{facts.Pods, facts.PodLogs}}
	files := &checks.Check{Needs: []*facts.Source{facts.Nodes}, MayUse: []*facts.Source{facts.Files}}
	tries := &checks.Check{Needs: []*facts.Source{facts.Tries}}
	onNode := &checks.Check{ID: "on-node", Needs: []*facts.Source{facts.Files}}
	for _, tt := range []struct {
		check  *checks.Check
		depth  facts.Depth
		bundle string
		want   string
	}{
		{shallow, facts.Host, "", ""}, {files, facts.Logs, "", ""}, {files, facts.Host, "", " --depth host"},
		{tries, facts.Host, "", " --depth probe"}, {tries, facts.Probe, "", " --depth probe"}, {files, facts.Host, "b.tar.gz", " --from b.tar.gz"},
		{onNode, facts.Host, "", " --allow-node-changes"},
		{onNode, facts.Host, "b.tar.gz", " --allow-node-changes --from b.tar.gz"},
	} {
		r := Report{Snapshot: &facts.Snapshot{Depth: tt.depth}, Bundle: tt.bundle, OnNodes: map[string]bool{"on-node": true}}
		if tt.bundle != "" {
			r.Given = "--from " + tt.bundle
		}
		if got := flagsFor(r, tt.check); got != tt.want {
			t.Errorf("%v at %s of %q: %q, want %q", tt.check.Needs, tt.depth, tt.bundle, got, tt.want)
		}
	}
}
