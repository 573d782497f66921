package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/fatih/color"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	shownEvidence = 8 // of each root, unless wide
	shownSymptoms = 6
	shownUnknown  = 6
)

// printer writes lines of text; errors are kept until the end by the buffered writer.
type printer struct {
	w     *bufio.Writer
	style Style
}

func writeText(w io.Writer, r Report, style Style) error {
	p := &printer{bufio.NewWriter(w), style}
	for _, line := range heading(r, style.Width) {
		p.wrapped(0, "", p.paint(color.Faint, "%s"), line)
	}
	found, notes := parted(r.Roots)
	if style.Wide {
		found, notes = r.Roots, nil
	}
	for _, root := range found {
		p.blank()
		p.root(r, root)
	}
	p.blank()
	p.notes(notes)
	p.unknown(r)
	p.verdict(r)
	if style.Wide {
		p.answers(r)
	}
	return p.w.Flush()
}

// root tells one root cause: what, the proof, the cure, the way to see it by hand, and
// what it brings about.
func (p *printer) root(r Report, n *cause.Node) {
	p.wrapped(0, p.mark(n.Severity)+" ", p.paint(color.Bold, "%s"), sentence(n))
	p.line(2, p.paint(color.Faint, fmt.Sprintf("%s (%s)", n.Check.ID, n.Severity)))
	p.evidence(n)
	if n.Remedy != "" {
		p.section("What to do")
		p.wrapped(4, "", "%s", Clean(n.Remedy))
	}
	if ids := r.Fixes[n.Check.ID]; len(ids) > 0 {
		p.section("Repair")
		p.line(4, "kubectl netdoctor fix "+n.Check.ID+flagsFor(r, n.Check)+" --dry-run")
	}
	p.deeper(r, n)
	if len(n.Check.ByHand) > 0 {
		p.section("By hand")
	}
	for _, command := range byHand(n) {
		p.line(4, command)
	}
	p.symptoms(n)
}

// deeper tells at which depths nobody looked for the cause of a root, and how to look there.
func (p *printer) deeper(r Report, n *cause.Node) {
	if len(n.Deeper) == 0 {
		return
	}
	p.section("Its cause may lie deeper")
	for _, d := range n.Deeper {
		var ids []string
		for _, c := range d.Checks {
			ids = append(ids, c.ID)
		}
		p.line(4, Clean(lookAt(r, n, d.Depth)))
		p.wrapped(6, "", "%s", "looks for "+p.few(ids))
	}
}

// lookAt is the command that looks at a depth, at that of hosts at the node alone that a root is
// about. What a bundle does not hold is captured anew.
func lookAt(r Report, n *cause.Node, d facts.Depth) string {
	command, given := "kubectl netdoctor check --depth "+d.String(), r.Given
	live := r.Bundle == "" || d > r.Captured
	if r.Bundle != "" && live {
		command, given = "kubectl netdoctor capture --depth "+d.String(), ""
	}
	if live && d == facts.Host && n.Subject.Kind == "Node" && len(n.More) == 0 && !strings.Contains(given, "--nodes ") {
		command += checks.Command(" --nodes %s", n.Subject.Name)
	}
	return strings.TrimSpace(command + " " + given)
}

// flagsFor is what a command takes to see a fault as it was seen: the deepest source of its
// check that was looked at, where that was not in a bundle, which is looked at as deep as it
// goes; and what was given.
func flagsFor(r Report, c *checks.Check) string {
	flags := ""
	deepest := facts.Logs
	for _, src := range slices.Concat(c.Needs, c.MayUse) {
		if src.Depth <= r.Snapshot.Depth {
			deepest = max(deepest, src.Depth)
		}
	}
	switch {
	case r.OnNodes[c.ID]:
		flags = " --allow-node-changes" // which implies the depth
	case deepest > facts.Logs && r.Bundle == "":
		flags = " --depth " + deepest.String()
	}
	if r.Given != "" {
		flags += " " + r.Given
	}
	return flags
}

func (p *printer) symptoms(n *cause.Node) {
	all := flatten(n.Symptoms)
	if len(all) == 0 {
		return
	}
	p.section(fmt.Sprintf("Explains %s", plural(len(all), "symptom")))
	shown := all
	if !p.style.Wide && len(shown) > shownSymptoms {
		shown = shown[:shownSymptoms]
	}
	for _, s := range shown {
		p.wrapped(4, "", "%s", brief(s))
	}
	if more := len(all) - len(shown); more > 0 {
		p.line(4, fmt.Sprintf("and %s more (-o wide)", Count1000(more)))
	}
}

// flatten returns a forest depth first: what is explained follows what explains it.
func flatten(nodes []*cause.Node) []*cause.Node {
	var out []*cause.Node
	for _, n := range nodes {
		out = append(append(out, n), flatten(n.Symptoms)...)
	}
	return out
}

func (p *printer) answers(r Report) {
	p.blank()
	for _, res := range r.Results {
		text := fmt.Sprintf("%-8s %s", res.Status, res.Check.ID)
		if res.Reason != "" {
			text += ": " + Clean(res.Reason)
		}
		p.wrapped(0, "", "%s", text)
	}
}

func (p *printer) section(title string) { p.line(2, p.paint(color.FgCyan, title)) }

func (p *printer) blank() { fmt.Fprintln(p.w) }

func (p *printer) line(indent int, text string) {
	if text == "" {
		indent = 0
	}
	fmt.Fprintln(p.w, strings.Repeat(" ", indent)+text)
}

// wrapped writes text over as many lines as the width takes. prefix stands before the
// first line, and format holds the colour, so that neither counts for the width.
func (p *printer) wrapped(indent int, prefix, format, text string) {
	hang := 0
	if prefix != "" {
		hang = 2
	}
	for i, line := range Wrap(text, max(p.style.Width-indent-hang, 20)) {
		lead := prefix
		if i > 0 {
			lead = strings.Repeat(" ", hang)
		}
		p.line(indent, lead+fmt.Sprintf(format, line))
	}
}

func (p *printer) mark(s checks.Severity) string {
	switch s {
	case checks.Error:
		return p.paint(color.FgRed, "×")
	case checks.Warning:
		return p.paint(color.FgYellow, "‼")
	}
	return p.paint(color.FgBlue, "i")
}

func (p *printer) paint(attr color.Attribute, text string) string {
	if !p.style.Color {
		return text
	}
	c := color.New(attr)
	c.EnableColor()
	return c.Sprint(text)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count1000(n) + " " + noun + "s"
}

// Count1000 writes a number with its thousands set apart: 12,345.
func Count1000(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
