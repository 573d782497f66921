package report

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// TestLookAt: what a bundle holds is looked at there, what it does not hold has to be captured, with
// nothing of the flags that chose the bundle; of hosts the one that is in question.
func TestLookAt(t *testing.T) {
	node, pod, odd := facts.NodeRef("oak"), facts.Ref{Kind: "Pod", Namespace: "web", Name: "front"}, facts.NodeRef("m 1;id")
	for _, tt := range []struct {
		bundle   string
		captured facts.Depth
		given    string
		about    facts.Ref
		more     []facts.Ref
		depth    facts.Depth
		want     string
	}{
		{given: "--context east -n shop", about: node, depth: facts.Probe, want: "kubectl netdoctor check --depth probe --context east -n shop"},
		{about: pod, depth: facts.Logs, want: "kubectl netdoctor check --depth logs"},
		{about: pod, depth: facts.Host, want: "kubectl netdoctor check --depth host"},
		{given: "--context east", about: node, depth: facts.Host, want: "kubectl netdoctor check --depth host --nodes oak --context east"},
		{about: odd, depth: facts.Host, want: "kubectl netdoctor check --depth host --nodes 'm 1;id'"},
		{about: node, more: []facts.Ref{odd}, depth: facts.Host, want: "kubectl netdoctor check --depth host"},
		{given: "--nodes elm,oak", about: node, depth: facts.Host, want: "kubectl netdoctor check --depth host --nodes elm,oak"},
		{bundle: "b.tar.gz", captured: facts.Host, given: "--from b.tar.gz", about: node, depth: facts.Host, want: "kubectl netdoctor check --depth host --from b.tar.gz"},
		{bundle: "b.tar.gz", captured: facts.Logs, given: "--from b.tar.gz", about: node, depth: facts.Host, want: "kubectl netdoctor capture --depth host --nodes oak"},
	} {
		n := &cause.Node{Finding: checks.Finding{Subject: tt.about}, More: tt.more}
		if got := lookAt(Report{Bundle: tt.bundle, Captured: tt.captured, Given: tt.given}, n, tt.depth); got != tt.want {
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
