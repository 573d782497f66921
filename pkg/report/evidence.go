package report

import (
	"fmt"
	"regexp"

	"github.com/fatih/color"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
)

func (p *printer) evidence(n *cause.Node) {
	if len(n.Evidence) == 0 {
		return
	}
	p.section("Evidence")
	all := folded(n.Evidence)
	shown := all
	if !p.style.Wide && len(shown) > shownEvidence {
		shown = shown[:shownEvidence]
	}
	for _, e := range shown {
		places := []string{e.From}
		switch {
		case p.style.Wide:
			places = e.places
		case len(e.places) > 1:
			places[0] += fmt.Sprintf(" (and %s more)", Count1000(len(e.places)-1))
		}
		for _, place := range places {
			p.wrapped(4, "", p.paint(color.Faint, "%s"), Clean(place))
		}
		p.wrapped(6, "", "%s", Clean(e.Text))
	}
	if more := len(all) - len(shown); more > 0 {
		p.line(4, fmt.Sprintf("and %s more (-o wide)", Count1000(more)))
	}
}

// quotation is one text that stands in several places.
type quotation struct {
	checks.Evidence
	places []string // all of them, the first that of Evidence
}

// stamp is when a line of a log was written, and by which thread, in klog's form and in
// RFC 3339.
var stamp = regexp.MustCompile(`^(?:[IWEF]\d{4} [\d:.]+ +\d+ |\d{4}-\d\d-\d\dT[\d:.]+\S* )`)

// folded tells once what was found in the same words at many places, as on the nodes
// that have one fault in common.
func folded(list []checks.Evidence) []quotation {
	var out []quotation
	at, told := map[string]int{}, map[checks.Evidence]bool{}
	for _, e := range list {
		if told[e] {
			continue
		}
		told[e] = true
		words := stamp.ReplaceAllString(e.Text, "")
		i, known := at[words]
		if !known {
			at[words] = len(out)
			out = append(out, quotation{Evidence: e, places: []string{e.From}})
			continue
		}
		out[i].places = append(out[i].places, e.From)
	}
	return out
}
