// Package report tells what an examination found: as text for people, as JSON and YAML
// for programs.
package report

import (
	"fmt"
	"io"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Report is what there is to tell.
type Report struct {
	Snapshot *facts.Snapshot
	Results  []checks.Result
	Roots    []*cause.Node
	Fixes    map[string][]string // ids of the fixes by check id
	OnNodes  map[string]bool     // ids of the checks whose fixes all change nodes
	Layers   []Layer             // all checks, in the order in which to count them
	Bundle   string              // the bundle looked at; empty for a live cluster
	Captured facts.Depth         // how deep the bundle goes
	Given    string              // flags by which the same is looked at again, quoted for a shell; "" for none
}

// Style says how text is to look.
type Style struct {
	Width int // columns; lines are wrapped to it
	Color bool
	Wide  bool // everything: all evidence, all symptoms, every check's answer
}

// Formats lists the values of -o.
func Formats() []string { return []string{"text", "wide", "json", "yaml"} }

// Write writes a report in one of Formats.
func Write(w io.Writer, r Report, format string, style Style) error {
	switch format {
	case "", "text":
		return writeText(w, r, style)
	case "wide":
		style.Wide = true
		return writeText(w, r, style)
	case "json":
		return writeJSON(w, r)
	case "yaml":
		return writeYAML(w, r)
	}
	return fmt.Errorf("unknown output format %q", format)
}

// Worst returns the gravest severity among the roots and what they explain, or 0.
func Worst(nodes []*cause.Node) checks.Severity {
	var worst checks.Severity
	for _, n := range nodes {
		worst = max(worst, n.Severity, Worst(n.Symptoms))
	}
	return worst
}

// Count returns how many checks have a status.
func Count(results []checks.Result, status checks.Status) int {
	n := 0
	for _, r := range results {
		if r.Status == status {
			n++
		}
	}
	return n
}
