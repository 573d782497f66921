package cmd

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// showLocal shows a plan without asking an API server.
func (o *fixCommand) showLocal(plan fixes.Plan, digest string) error {
	var previews []apply.Preview
	for _, c := range plan.Changes {
		previews = append(previews, apply.Preview{Ref: c.Ref(), Before: c.Before, After: c.After})
	}
	if err := o.show(plan, previews); err != nil {
		return err
	}
	fmt.Fprintf(o.env.Out, "\nDry run: no API server was asked; nothing was changed.\nDigest: %s\n", digest)
	return nil
}

// show prints what a plan does, what it does not do, and who might take it back.
func (o *fixCommand) show(plan fixes.Plan, previews []apply.Preview) error {
	w := bufio.NewWriter(o.env.Out)
	fmt.Fprintf(w, "%s (%s)\n", plan.Fix.Title, plan.Fix.ID)
	head := []string{fmt.Sprintf("for: %s %s", plan.Finding.Subject, plan.Finding.Message)}
	if plan.Origin != "" {
		head = append(head, "manifest: "+plan.Origin)
	}
	for _, text := range head {
		for _, line := range report.Wrap(report.Clean(text), o.env.Width) {
			fmt.Fprintln(w, line)
		}
	}
	fmt.Fprintf(w, "risk: %s\n", plan.Fix.Risk)
	switch n := nodesOf(plan); n {
	case 0:
	case 1:
		fmt.Fprintln(w, "on a node, by a pod that runs as root there for a moment")
	default:
		fmt.Fprintf(w, "on %d nodes, one after the other, by a pod that runs as root there for a moment\n", n)
	}
	fmt.Fprintln(w)
	for _, p := range previews {
		text, err := apply.Diff(p.Ref, p.Before, p.After, "repaired")
		if err != nil {
			return fmt.Errorf("comparing %s: %w", p.Ref, err)
		}
		o.printDiff(w, text)
	}
	showUnits(w, plan)
	if len(plan.Restarts) > 0 {
		fmt.Fprintln(w, "\nThen deleted, so that they start again at once:")
		for _, p := range plan.Restarts {
			fmt.Fprintf(w, "  Pod %s/%s\n", report.Clean(p.Namespace), report.Clean(p.Name))
		}
	}
	o.paragraphs(w, "\nNot cured by this:", plan.Warnings)
	o.paragraphs(w, "\nThe lasting cure, by hand:", plan.Manual)
	if plan.Owner != nil {
		o.paragraphs(w, "\nManaged by "+report.Clean(plan.Owner.Name)+":", []string{plan.Owner.Where})
	}
	return w.Flush()
}

// nodesOf counts the nodes that a plan changes.
func nodesOf(plan fixes.Plan) int {
	names := map[string]bool{}
	for _, c := range plan.Changes {
		if s, err := fixes.SettingOf(c.Object()); err == nil {
			names[s.Node] = true
		}
	}
	return len(names)
}

// showUnits names what systemd restarts on nodes.
func showUnits(w io.Writer, plan fixes.Plan) {
	title := "\nRestarted with that, one node after the other; containers go on meanwhile:\n"
	for _, c := range plan.Changes {
		if setting, err := fixes.SettingOf(c.After); err == nil && setting.Unit != "" {
			fmt.Fprintf(w, "%s  %s of Node %s\n", title, report.Clean(setting.Unit), report.Clean(setting.Node))
			title = ""
		}
	}
}

func (o *fixCommand) paragraphs(w io.Writer, title string, texts []string) {
	if len(texts) == 0 {
		return
	}
	fmt.Fprintln(w, title)
	for _, text := range texts {
		for i, line := range report.Wrap(report.Clean(text), o.env.Width-4) {
			lead := "    "
			if i == 0 {
				lead = "  - "
			}
			fmt.Fprintln(w, lead+line)
		}
	}
}

// printDiff prints a diff line by line, so that nothing in it can act on a terminal.
func (o *fixCommand) printDiff(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		line = report.CleanLine(strings.TrimSuffix(line, "\n"))
		attr := color.Reset
		switch {
		case strings.HasPrefix(line, "+"):
			attr = color.FgGreen
		case strings.HasPrefix(line, "-"):
			attr = color.FgRed
		}
		if o.colored() && attr != color.Reset {
			c := color.New(attr)
			c.EnableColor()
			line = c.Sprint(line)
		}
		fmt.Fprintln(w, line)
	}
}
