package cmd

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

func newPlugins(c *cluster) *cobra.Command {
	o := &examination{cluster: c}
	known := false
	cmd := &cobra.Command{
		Use:   "plugins [PLUGIN...]",
		Short: "Tell which network plugin this cluster runs, and which are known",
		Long: "Tell which network plugin this cluster, or a bundle, runs, and list those that the doctor knows with their present status. " +
			"With names, tell how those are installed, without asking a cluster.",
		Example: `  kubectl netdoctor plugins
  kubectl netdoctor plugins flannel calico`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return pluginIDs(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return c.printInstall(args)
			}
			if !known {
				if err := o.running(cmd.Context(), cmd); err != nil {
					return err
				}
			}
			return c.printPlugins()
		},
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&known, "known", false, "only list the known ones, without asking a cluster")
	return cmd
}

// running tells which plugins the cluster shows, or that this could not be seen.
func (o *examination) running(ctx context.Context, cmd *cobra.Command) error {
	reads := &checks.Check{Needs: []*facts.Source{facts.DaemonSets, facts.Pods}, Run: func(*facts.Snapshot) []checks.Finding { return nil }}
	look, err := o.look(ctx, cmd, []*checks.Check{reads})
	if err != nil {
		return err
	}
	found := plugins.Detect(look.Snapshot)
	for _, d := range found {
		fmt.Fprintf(o.env.Out, "This cluster runs %s (%d agents).\n", d.Plugin.Name, len(d.Pods))
	}
	switch why := look.Results[0].Reason; {
	case why != "":
		fmt.Fprintf(o.env.Out, "Which plugin it runs is not known for certain: %s\n", report.Clean(why))
	case len(found) == 0:
		fmt.Fprintln(o.env.Out, "No network plugin is seen: there is none, or it is part of the nodes (k3s, cloud providers).")
	}
	fmt.Fprintln(o.env.Out)
	return nil
}

func (c *cluster) printPlugins() error {
	w := tabwriter.NewWriter(c.env.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "PLUGIN\tKIND\tSTATUS\tINSTALL PAGE")
	for _, p := range plugins.All() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Name, p.Kind, p.Status.State, p.Install.Page)
	}
	return w.Flush()
}

// printInstall tells of each named plugin how it is cared for and how to install it.
func (c *cluster) printInstall(ids []string) error {
	for i, id := range ids {
		p := plugins.Named(id)
		if p == nil {
			return usage("no plugin %q is known (%s)", id, strings.Join(pluginIDs(), ", "))
		}
		if i > 0 {
			fmt.Fprintln(c.env.Out)
		}
		fmt.Fprintln(c.env.Out, p.Name)
		for _, text := range []string{p.Status.Text, p.Install.Note} {
			if text != "" {
				fmt.Fprintln(c.env.Out, "  "+strings.Join(report.Wrap(text, c.env.Width-2), "\n  "))
			}
		}
		lines := []string{p.Install.Page, p.Install.Command} // to be copied whole
		if m := p.Install.Manifest; m.URL != "" {
			lines = append(lines, "kubectl netdoctor fix cni-not-installed --plugin "+p.ID+"   # "+m.Version+" from", "  "+m.URL)
			if m.SHA256 != "" {
				lines = append(lines, "  sha256 "+m.SHA256)
			}
		}
		for _, line := range lines {
			if line != "" {
				fmt.Fprintln(c.env.Out, "  "+line)
			}
		}
	}
	return nil
}

func pluginIDs() []string {
	var ids []string
	for _, p := range plugins.All() {
		ids = append(ids, p.ID)
	}
	return ids
}
