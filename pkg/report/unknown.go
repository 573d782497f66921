package report

import (
	"fmt"
	"strings"

	"github.com/fatih/color"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
)

// unknown tells what could not be looked at and which checks wanted to. A check that
// found something may not have seen everything, either.
func (p *printer) unknown(r Report) {
	byReason := map[string][]string{}
	var reasons []string
	forbidden := false
	for _, res := range r.Results {
		id := res.Check.ID
		switch {
		case res.Status == checks.Failed && res.Reason != "":
			id += " (in part)"
		case res.Status != checks.Unknown:
			continue
		}
		gaps := res.Gaps
		if len(gaps) == 0 {
			gaps = []string{res.Reason}
		}
		for _, gap := range gaps {
			if byReason[gap] == nil {
				reasons = append(reasons, gap)
			}
			byReason[gap] = append(byReason[gap], id)
			forbidden = forbidden || strings.Contains(gap, ": forbidden: ")
		}
	}
	if len(reasons) == 0 {
		return
	}
	p.line(0, fmt.Sprintf("%s Not known, because it could not be looked at:", p.paint(color.FgYellow, "?")))
	shown := reasons
	if !p.style.Wide && len(shown) > shownUnknown {
		shown = shown[:shownUnknown]
	}
	for _, reason := range shown {
		p.wrapped(2, "", "%s", Clean(reason))
		p.wrapped(4, "", p.paint(color.Faint, "%s"), "so unknown: "+p.few(byReason[reason]))
	}
	if more := len(reasons) - len(shown); more > 0 {
		p.line(2, fmt.Sprintf("and %s more (-o wide)", Count1000(more)))
	}
	if forbidden {
		p.line(2, "`kubectl netdoctor rbac` prints the rights that looking takes.")
	}
	p.blank()
}

// few names some checks, and counts the others.
func (p *printer) few(ids []string) string {
	more := len(ids) - shownUnknown
	if p.style.Wide || more <= 1 {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:shownUnknown], ", "), more)
}
