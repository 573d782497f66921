package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

func newExplain(c *cluster) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CHECK|FIX|LAYER]",
		Short: "Tell what a check or a fix means, without a cluster",
		Long:  "Tell what a check or a fix means, how the fault comes about and how to see and cure it by hand. Without an argument: list them.",
		Args:  cobra.MaximumNArgs(1), ValidArgsFunction: completeExplain,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				c.listAll("")
				return nil
			}
			return c.explain(args[0])
		},
	}
}

// listAll prints every check of a layer, or of all, with its title.
func (c *cluster) listAll(layer string) {
	for _, l := range all.Layers() {
		if layer != "" && layer != l.Name {
			continue
		}
		fmt.Fprintf(c.env.Out, "%s (%s)\n", l.Title, l.Name)
		for _, check := range l.Checks {
			fmt.Fprintf(c.env.Out, "  %-30s %s\n", check.ID, check.Title)
		}
	}
	if layer == "" {
		fmt.Fprintln(c.env.Out, "Fixes")
		for _, f := range fixes.All() {
			fmt.Fprintf(c.env.Out, "  %-30s %s\n", f.ID, f.Title)
		}
	}
}

func (c *cluster) explain(name string) error {
	for _, f := range fixes.All() {
		if f.ID == name {
			fmt.Fprintf(c.env.Out, "%s\n%s\n\n", f.ID, f.Title)
			c.prose(f.Doc)
			return nil
		}
	}
	found := named(name)
	switch {
	case len(found) == 1 && found[0].ID == name:
		c.explainCheck(found[0])
		return nil
	case len(found) > 0:
		c.listAll(name)
		return nil
	}
	return usage("no check, fix or layer is called %q; kubectl netdoctor explain lists them", name)
}

func (c *cluster) explainCheck(check *checks.Check) {
	fmt.Fprintf(c.env.Out, "%s (%s)\nHealthy: %s\n\n", check.ID, check.Severity, check.Title)
	c.prose(check.Doc)
	fmt.Fprintln(c.env.Out, "\nBy hand")
	for _, command := range check.ByHand {
		fmt.Fprintln(c.env.Out, "  "+command)
	}
	var below, above []string
	for _, e := range check.Explains {
		below = append(below, e.ID)
	}
	for _, other := range all.Checks() {
		if slices.Contains(other.Explains, check) {
			above = append(above, other.ID)
		}
	}
	if len(below)+len(above) > 0 {
		fmt.Fprintln(c.env.Out)
	}
	c.edges("Explains: ", below)
	c.edges("Explained by: ", above)
	for _, f := range fixes.For(check) {
		allow := ""
		if f.OnNodes {
			allow = " --allow-node-changes"
		}
		fmt.Fprintf(c.env.Out, "Repair: kubectl netdoctor fix %s --with %s%s --dry-run\n", check.ID, f.ID, allow)
	}
	if check.URL != "" {
		fmt.Fprintln(c.env.Out, "See: "+check.URL)
	}
}

func (c *cluster) edges(title string, ids []string) {
	if len(ids) == 0 {
		return
	}
	for i, line := range report.Wrap(title+strings.Join(ids, ", "), c.env.Width-2) {
		if i > 0 {
			line = "  " + line
		}
		fmt.Fprintln(c.env.Out, line)
	}
}

// prose prints Markdown as it is, each paragraph wrapped; lists and code keep their
// lines.
func (c *cluster) prose(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			fmt.Fprintln(c.env.Out)
		}
		if strings.Contains(paragraph, "\n- ") || strings.HasPrefix(paragraph, "- ") || strings.Contains(paragraph, "\n    ") ||
			strings.Contains(paragraph, "```") || strings.Contains(paragraph, "\n1. ") || strings.HasPrefix(paragraph, "1. ") {
			fmt.Fprintln(c.env.Out, paragraph)
			continue
		}
		for _, line := range report.Wrap(paragraph, c.env.Width) {
			fmt.Fprintln(c.env.Out, line)
		}
	}
}
