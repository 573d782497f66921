package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// curable returns the findings that some fix cures, causes before what they explain.
func curable(look apply.Look) []checks.Finding {
	original := map[*checks.Check][]checks.Finding{}
	for _, r := range look.Results {
		original[r.Check] = r.Findings
	}
	var out []checks.Finding
	var walk func([]*cause.Node)
	walk = func(nodes []*cause.Node) {
		for _, n := range nodes {
			if len(fixes.For(n.Check)) > 0 {
				out = append(out, toldWith(n, original[n.Check])...)
			}
		}
		for _, n := range nodes {
			walk(n.Symptoms)
		}
	}
	walk(roots(look))
	return out
}

// toldWith returns the findings that a node tells together, as their check found them.
func toldWith(n *cause.Node, of []checks.Finding) []checks.Finding {
	var out []checks.Finding
	for _, f := range of {
		if f.Message == n.Message && (f.Subject == n.Subject || slices.Contains(n.More, f.Subject)) {
			out = append(out, f)
		}
	}
	return out
}

// offers makes the plan of each finding that can be cured.
func (o *fixCommand) offers(cmd *cobra.Command, look apply.Look) []offer {
	o.listing = true
	defer func() { o.listing = false }()
	var out []offer
	for _, f := range curable(look) {
		out = append(out, o.planFor(cmd.Context(), look, f))
	}
	return out
}

// overview lists what can be repaired, and on a terminal goes through what is picked.
func (o *fixCommand) overview(cmd *cobra.Command, look apply.Look) error {
	list := o.offers(cmd, look)
	if len(list) == 0 {
		fmt.Fprintln(o.env.Out, "Nothing was found that could be repaired from here; kubectl netdoctor check tells what there is.")
		return nil
	}
	if o.output != "diff" {
		return o.inTurn(cmd, look, findingsOf(list))
	}
	o.printOffers(list)
	if !o.env.AskIn || o.from != "" || o.dryRun != "none" {
		return nil
	}
	chosen, err := o.pickSome(cmd.Context(), len(list))
	if err != nil || len(chosen) == 0 {
		return err
	}
	var picked []offer
	for _, i := range chosen {
		picked = append(picked, list[i])
	}
	return o.inTurn(cmd, look, findingsOf(picked))
}

func findingsOf(list []offer) []checks.Finding {
	var out []checks.Finding
	for _, x := range list {
		out = append(out, x.finding)
	}
	return out
}

func (o *fixCommand) printOffers(list []offer) {
	w := bufio.NewWriter(o.env.Out)
	count := map[*checks.Check]int{}
	for _, x := range list {
		count[x.finding.Check]++
	}
	for i, x := range list {
		lead := fmt.Sprintf("%d. ", i+1)
		indent := strings.Repeat(" ", len(lead))
		told := report.Clean(fmt.Sprintf("%s %s", x.finding.Subject, x.finding.Message))
		for n, line := range report.Wrap(told, o.env.Width-len(lead)) {
			if n == 0 {
				fmt.Fprintln(w, lead+line)
			} else {
				fmt.Fprintln(w, indent+line)
			}
		}
		fmt.Fprintln(w, indent+report.Clean(x.line()))
		fmt.Fprintln(w, indent+report.Clean(strings.Join(append(x.command(count[x.finding.Check] > 1), o.given()...), " ")))
	}
	_ = w.Flush() // to stdout: who does not read it has gone
}

// line tells a plan in one line: what it does, how risky that is and whose the objects are.
func (x offer) line() string {
	parts := []string{x.fix.Title, x.fix.Risk.String()}
	var unread *fixes.UnreadError
	switch {
	case errors.As(x.err, &unread):
		parts = append(parts, "its node is asked first")
	case x.err != nil:
		parts = append(parts, "not planned: "+x.err.Error())
	case x.plan.Owner != nil && x.plan.Owner.Reverts:
		parts = append(parts, x.plan.Owner.Name+" would take it back at once")
	case x.plan.Owner != nil:
		parts = append(parts, "managed by "+x.plan.Owner.Name)
	default:
		parts = append(parts, "managed by nobody else")
	}
	return strings.Join(parts, " · ")
}

// command returns the words of the command that shows the plan.
func (x offer) command(several bool) []string {
	words := []string{"kubectl netdoctor fix", x.finding.Check.ID}
	if several {
		words = append(words, checks.ShellWord(x.finding.Subject.Path()))
	}
	if list := fixes.For(x.finding.Check); list[0] != x.fix {
		words = append(words, "--with", x.fix.ID)
	}
	if x.fix.OnNodes {
		words = append(words, "--allow-node-changes")
	}
	return append(words, "--dry-run")
}

// given returns the flags by which the plans were made, as they may be told.
func (o *fixCommand) given() []string {
	words := o.again()
	for _, server := range o.params.Upstreams {
		words = append(words, "--upstream", checks.ShellWord(server))
	}
	for _, flag := range [][2]string{
		{"--plugin", o.params.Plugin}, {"--manifest", bare(o.manifest)}, {"--manifest-sha256", o.manifestSum},
		{"--pod-cidr", o.params.PodCIDR}, {"--interface", o.params.Interface},
	} {
		if flag[1] != "" {
			words = append(words, flag[0], checks.ShellWord(flag[1]))
		}
	}
	if o.params.AcceptRisk {
		words = append(words, "--accept-risk")
	}
	return words
}

// findings returns what to repair: the findings of one check, or the one about an object.
// Where there is none and that is not certain, it says so.
func findings(look apply.Look, id, subject string) ([]checks.Finding, error) {
	i := slices.IndexFunc(look.Results, func(r checks.Result) bool { return r.Check.ID == id })
	if i < 0 {
		return nil, usage("%s was not asked", id)
	}
	switch r := look.Results[i]; r.Status {
	case checks.Unknown:
		return nil, &exit{exitUnknown, fmt.Errorf("whether there is anything to repair is not known: %s", r.Reason)}
	case checks.Skipped:
		return nil, usage("%s was not looked at: %s", id, r.Reason)
	case checks.OK:
		return nil, usage("%s found nothing: there is nothing to repair", id)
	}
	var all, out []checks.Finding
	var names []string
	for _, f := range curable(look) {
		if f.Check.ID != id {
			continue
		}
		all = append(all, f)
		names = append(names, f.Subject.Path())
		if f.Subject == facts.ParseRef(subject) {
			out = append(out, f)
		}
	}
	if subject == "" {
		return all, nil
	}
	if len(out) == 0 {
		return nil, usage("%s found nothing about %s; it did about %s", id, subject, strings.Join(names, ", "))
	}
	return out, nil
}
