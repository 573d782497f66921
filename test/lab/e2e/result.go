// Package e2e breaks a real cluster in every known way and holds what the
// doctor says, cures and takes back against what is true.
package e2e

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Results are what one run of the suite has found.
type Results struct {
	Server  string   `json:"server"`  // version of Kubernetes
	Nodes   int      `json:"nodes"`   // how many the cluster has
	Seconds float64  `json:"seconds"` // how long all of it took, the start of the lab left out
	Faults  []Result `json:"faults"`
}

// Result is what was found with one fault.
type Result struct {
	Fault   string   `json:"fault"`
	Title   string   `json:"title"`
	Skipped string   `json:"skipped,omitempty"` // why it was not made
	Want    string   `json:"want,omitempty"`    // the check that has to name it; none where no check can yet
	Depth   string   `json:"depth,omitempty"`   // at which pods see more of it
	Deep    string   `json:"deep,omitempty"`    // the check that has to name it at that depth
	Deeper  []Saying `json:"deeper,omitempty"`  // what the doctor says there
	Named   bool     `json:"named"`
	Seconds float64  `json:"seconds"` // from the moment it was made until the doctor said what it was going to say
	Says    []Saying `json:"says"`
	Fix     string   `json:"fix,omitempty"` // the command that has to cure it
	Cured   bool     `json:"cured"`
	Undone  bool     `json:"undone"`
	Failure string   `json:"failure,omitempty"` // what was not as expected
}

// Saying is a root cause in the doctor's report.
type Saying struct {
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Subject  string `json:"subject"`
	Message  string `json:"message"`
}

// named tells in a word whether the doctor named the fault.
func (r Result) named() string {
	switch {
	case r.Skipped != "":
		return "left out"
	case r.Failure != "" && !r.Named:
		return "FAILED"
	case r.Deep != "" && len(r.Deeper) > 0:
		return "at depth " + r.Depth
	case r.Want == "":
		return "not yet"
	case r.Named:
		return "yes"
	}
	return "no"
}

// deepest is what the doctor said at the deepest look.
func (r Result) deepest() []Saying {
	if len(r.Deeper) > 0 {
		return r.Deeper
	}
	return r.Says
}

// said lists the checks that found something.
func (r Result) said() string {
	var ids []string
	for _, s := range r.deepest() {
		ids = append(ids, s.Check)
	}
	if len(ids) == 0 {
		return "nothing"
	}
	return strings.Join(unique(ids), ", ")
}

func (r Result) seconds() string {
	if r.Skipped != "" {
		return ""
	}
	return fmt.Sprintf("%.1f", r.Seconds)
}

// repair tells in a word how one of the two halves of a repair went.
func (r Result) repair(done bool) string {
	switch {
	case r.Fix == "" || r.Skipped != "":
		return ""
	case done:
		return "yes"
	}
	return "NO"
}

func unique(in []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// WriteTable prints the results for a terminal.
func (r Results) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FAULT\tNAMED\tSECONDS\tCHECK SAYS\tCURED\tUNDONE")
	for _, f := range r.Faults {
		said := f.said()
		if f.Skipped != "" {
			said = f.Skipped
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Fault, f.named(), f.seconds(), said, f.repair(f.Cured), f.repair(f.Undone))
	}
	return t.Flush()
}

// WriteMarkdown renders the page of the documentation that shows the results.
func (r Results) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# The lab

Written by ` + "`go run ./e2e/table`" + ` in test/lab from the results of the suite ` + "`TestFaults`" + `. Each of these faults was made in a real
cluster; the doctor was asked until it had said what it has to say; and the cluster was healthy again before the next one,
with nothing found.

`)
	fmt.Fprintf(&b, "Kubernetes %s, %d nodes, %d faults, %.0f minutes.\n", r.Server, r.Nodes, len(r.Faults), r.Seconds/60)
	b.WriteString(`
**Named** is *yes* where the check that is meant for the fault was the only root cause in the report, *not yet* where no
check can name it today, and *at depth* where pods of that depth named it, or named it more closely; what the doctor says stands beside it. **Seconds** are from the moment the fault was made:
many checks wait for a minute before they call something a fault, since all of it is normal while a cluster starts.
**Cured** and **undone** are told where a fix exists: cured means that pods on every node resolve names inside and outside
and reach a Service again; undone, that the objects are what they were and the fault is back.

| fault | what is wrong | named | seconds | check says | cured | undone |
|---|---|---|---|---|---|---|
`)
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", f.Fault, cell(f.Title), f.named(), f.seconds(), f.checks(), f.repair(f.Cured), f.repair(f.Undone))
	}
	b.WriteString("\n## What the doctor says\n\n")
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "* **%s**: %s\n", f.Fault, f.words())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Result) checks() string {
	if r.Skipped != "" {
		return cell(r.Skipped)
	}
	if len(r.deepest()) == 0 {
		return "nothing"
	}
	return "`" + strings.ReplaceAll(r.said(), ", ", "`, `") + "`"
}

// words are the doctor's own, as far as they differ.
func (r Result) words() string {
	if r.Skipped != "" {
		return "left out: " + r.Skipped + "."
	}
	var out []string
	for _, s := range r.deepest() {
		out = append(out, fmt.Sprintf("%s %s (%s)", s.Subject, s.Message, s.Severity))
	}
	if len(out) == 0 {
		return "nothing."
	}
	return strings.Join(unique(out), "; ") + "."
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
