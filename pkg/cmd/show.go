package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// showLocal shows a plan without asking an API server.
func (o *fixCommand) showLocal(plan fixes.Plan) error {
	var previews []apply.Preview
	for _, c := range plan.Changes {
		previews = append(previews, apply.Preview{Ref: c.Ref(), Before: c.Before, After: c.After})
	}
	if err := o.show(plan, previews); err != nil {
		return err
	}
	fmt.Fprintln(o.env.Out, "\nDry run: no API server was asked; nothing was changed.")
	return nil
}

// show prints what a plan does, what it does not do, and who might take it back.
func (o *fixCommand) show(plan fixes.Plan, previews []apply.Preview) error {
	w := bufio.NewWriter(o.env.Out)
	fmt.Fprintf(w, "%s (%s)\n", plan.Fix.Title, plan.Fix.ID)
	for _, line := range report.Wrap(report.Clean(fmt.Sprintf("for: %s %s", plan.Finding.Subject, plan.Finding.Message)), o.env.Width) {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
	for _, p := range previews {
		text, err := apply.Diff(p.Ref, p.Before, p.After, "repaired")
		if err != nil {
			return fmt.Errorf("comparing %s: %w", p.Ref, err)
		}
		o.printDiff(w, text)
	}
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

// export prints the change for another way to apply it.
func (o *fixCommand) export(plan fixes.Plan) error {
	for _, c := range plan.Changes {
		switch o.output {
		case "patch":
			ops, err := apply.Patch(c)
			if err != nil {
				return err
			}
			data, err := json.Marshal(ops)
			if err != nil {
				return err
			}
			ref := c.Ref()
			command := fmt.Sprintf("kubectl patch %s %s -n %s --type=json --patch-file=FILE", strings.ToLower(ref.Kind), ref.Name, ref.Namespace)
			fmt.Fprintf(o.env.Out, "# %s\n%s\n", report.Clean(command), report.EscapeJSON(data))
		default:
			if c.After == nil {
				continue
			}
			data, err := json.Marshal(apply.Bare(c.After).Object)
			if err != nil {
				return err
			}
			// The YAML library refuses control characters that JSON may hold unescaped.
			if data, err = yaml.JSONToYAML(report.EscapeJSON(data)); err != nil {
				return err
			}
			fmt.Fprintf(o.env.Out, "---\n%s", data)
		}
	}
	return nil
}

// ask puts a question to the person at the terminal. Anything but yes is no.
func (c *cluster) ask(ctx context.Context, question string, yes bool) error {
	if yes {
		return nil
	}
	if !c.env.AskIn {
		return usage("there is no terminal to ask on; -y applies it without a question, --dry-run only shows it")
	}
	fmt.Fprintf(c.env.ErrOut, "\n%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(c.env.In).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.env.ErrOut)
		return errors.New("interrupted; nothing was changed")
	case line := <-answer:
		if line == "y" || line == "yes" {
			return nil
		}
	}
	return errors.New("not confirmed; nothing was changed")
}
