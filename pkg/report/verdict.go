package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fatih/color"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Layer is a part of the network under the name that people know it by.
type Layer struct {
	Title  string
	Checks []*checks.Check
}

// shownNotes is how many notes are told, unless wide.
const shownNotes = 4

// parted sets the roots that somebody has to act on apart from those that are only
// worth knowing.
func parted(roots []*cause.Node) (grave, notes []*cause.Node) {
	i := slices.IndexFunc(roots, func(n *cause.Node) bool { return Worst([]*cause.Node{n}) < checks.Warning })
	if i < 0 {
		return roots, nil
	}
	return roots[:i], roots[i:]
}

// notes tells in a line each what is worth knowing and hurts nobody.
func (p *printer) notes(nodes []*cause.Node) {
	if len(nodes) == 0 {
		return
	}
	p.line(0, "Worth knowing:")
	shown := nodes[:min(len(nodes), shownNotes)]
	for _, n := range shown {
		p.wrapped(2, p.mark(n.Severity)+" ", "%s", sentence(n)+" ("+n.Check.ID+")")
	}
	if more := len(nodes) - len(shown); more > 0 {
		p.line(2, fmt.Sprintf("and %s more", Count1000(more)))
	}
	p.line(2, p.paint(color.Faint, "-o wide tells more of each"))
	p.blank()
}

func (p *printer) verdict(r Report) {
	unknown := Count(r.Results, checks.Unknown)
	found, notes := parted(r.Roots)
	tail := ""
	if unknown > 0 {
		tail = fmt.Sprintf(" (%s unknown)", plural(unknown, "check"))
	}
	switch {
	case len(found) > 0:
		p.line(0, plural(len(found), "root cause")+severities(found)+tail)
	case unknown > 0:
		p.line(0, "Nothing found in what could be looked at"+tail)
	case len(notes) > 0:
		p.line(0, p.paint(color.FgGreen, "√")+" Nothing found that needs doing")
	default:
		p.line(0, p.paint(color.FgGreen, "√")+" Nothing found")
	}
	if fine := fine(r); fine != "" {
		p.wrapped(0, "", p.paint(color.Faint, "%s"), fine)
	}
}

// fine counts the checks that found nothing, for each layer, and those not asked.
func fine(r Report) string {
	status := map[*checks.Check]checks.Status{}
	for _, res := range r.Results {
		status[res.Check] = res.Status
	}
	var parts []string
	for _, l := range r.Layers {
		n := 0
		for _, c := range l.Checks {
			if status[c] == checks.OK {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", l.Title, n))
		}
	}
	text := ""
	if len(parts) > 0 {
		text = "Checks ok: " + strings.Join(parts, ", ")
	}
	if n := Count(r.Results, checks.Skipped); n > 0 {
		text = strings.TrimPrefix(text+fmt.Sprintf("; %d skipped", n)+lookDeeper(r), "; ")
	}
	return text
}

// lookDeeper counts the checks that were skipped because they look deeper, and says how deep.
func lookDeeper(r Report) string {
	n, depth := 0, facts.API
	for _, res := range r.Results {
		if res.Deeper > 0 {
			n, depth = n+1, max(depth, res.Deeper)
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(", of which 1 looks deeper (--depth %s)", depth)
	}
	return fmt.Sprintf(", of which %d look deeper (--depth %s)", n, depth)
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
