package report

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

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
	for _, root := range r.Roots {
		p.blank()
		p.root(r, root)
	}
	p.blank()
	p.unknown(r)
	p.line(0, p.verdict(r))
	if style.Wide {
		p.answers(r)
	}
	return p.w.Flush()
}

// heading tells what was looked at, and how deep; a line breaks between its parts.
func heading(r Report, width int) []string {
	s := r.Snapshot
	parts := []string{"netdoctor"}
	if r.Bundle != "" {
		parts = append(parts, "bundle "+Clean(r.Bundle))
	}
	if s.Server != "" {
		parts = append(parts, "server "+Clean(s.Server))
	}
	parts = append(parts, "depth "+s.Depth.String())
	if read := objects(s); len(read) > 0 {
		parts = append(parts, strings.Join(read, ", "))
	}
	if s.Scope != "" {
		parts = append(parts, "workloads of namespace "+Clean(s.Scope))
	}
	parts = append(parts, samples(s)...)
	lines := []string{parts[0]}
	for _, part := range parts[1:] {
		line := lines[len(lines)-1] + " · " + part
		if utf8.RuneCountInString(line) > width {
			lines = append(lines, part)
		} else {
			lines[len(lines)-1] = line
		}
	}
	return lines
}

// objects counts what was read.
func objects(s *facts.Snapshot) []string {
	var out []string
	for _, of := range []struct {
		whole, part *facts.Source
		n           int
		noun        string
	}{
		{facts.Nodes, facts.Nodes, len(s.Nodes), "node"},
		{facts.Pods, facts.SystemPods, len(s.Pods), "pod"},
		{facts.Services, facts.SystemServices, len(s.Services), "Service"},
	} {
		switch {
		case s.Missing(of.whole) == "":
			out = append(out, plural(of.n, of.noun))
		case s.Missing(of.part) == "":
			out = append(out, plural(of.n, "system "+of.noun))
		}
	}
	return out
}

// samples tells of what only some were asked.
func samples(s *facts.Snapshot) []string {
	var out []string
	for _, of := range []struct {
		src  *facts.Source
		text string
	}{
		{facts.Configz, "%s of %s kubelets asked"},
		{facts.PodLogs, "logs of %s of %s network pods"},
		{facts.Proxy, "%s of %s CoreDNS pods asked"},
	} {
		if sample, found := s.Sampled[of.src.Name]; found {
			out = append(out, fmt.Sprintf(of.text, Count1000(sample.Asked), Count1000(sample.Of)))
		}
	}
	if len(out) > 0 {
		out = append(out, "--all-nodes asks all")
	}
	return out
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
		p.line(4, "kubectl netdoctor fix "+n.Check.ID+" --dry-run")
	}
	if len(n.Check.ByHand) > 0 {
		p.section("By hand")
	}
	for _, command := range n.Check.ByHand {
		p.line(4, command)
	}
	p.symptoms(n)
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

func (p *printer) verdict(r Report) string {
	counts := []string{plural(Count(r.Results, checks.OK), "check") + " ok"}
	if n := Count(r.Results, checks.Unknown); n > 0 {
		counts = append(counts, fmt.Sprintf("%d unknown", n))
	}
	if n := Count(r.Results, checks.Skipped); n > 0 {
		counts = append(counts, fmt.Sprintf("%d skipped", n))
	}
	tail := " (" + strings.Join(counts, ", ") + ")"
	switch {
	case len(r.Roots) > 0:
		return plural(len(r.Roots), "root cause") + severities(r.Roots) + tail
	case Count(r.Results, checks.Unknown) > 0:
		return "Nothing found in what could be looked at" + tail
	}
	return p.paint(color.FgGreen, "√") + " Nothing found" + tail
}

// severities counts the roots by severity, where there are several.
func severities(roots []*cause.Node) string {
	if len(roots) < 2 {
		return ""
	}
	count := map[checks.Severity]int{}
	for _, n := range roots {
		count[n.Severity]++
	}
	var parts []string
	for _, s := range []checks.Severity{checks.Error, checks.Warning, checks.Info} {
		if count[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	return ": " + strings.Join(parts, ", ")
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
