package cmd

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

func newUndo(c *cluster) *cobra.Command {
	o := &fixCommand{examination: examination{cluster: c}}
	cmd := &cobra.Command{
		Use:   "undo [ID]",
		Short: "Take a repair back",
		Long: `Take a repair back: the newest, or the one with this ID ("kubectl netdoctor history" lists them). It is shown and asked
for first. A field that somebody has changed since is not overwritten.`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: o.undo,
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&o.dryRun, "dry-run", "none", "server: show what would be done, write nothing; none")
	cmd.Flags().Lookup("dry-run").NoOptDefVal = "server"
	return cmd
}

func (o *fixCommand) undo(cmd *cobra.Command, args []string) error {
	if o.dryRun != "none" && o.dryRun != "server" {
		return usage("--dry-run=%s: must be server or none", o.dryRun)
	}
	ctx := cmd.Context()
	a, err := o.applier()
	if err != nil {
		return err
	}
	repairs, err := a.Journal.List(ctx)
	if err != nil && len(args) == 0 {
		return err // the newest may be among those that could not be read
	}
	if err != nil {
		fmt.Fprintln(o.env.ErrOut, "warning: "+report.Clean(err.Error()))
	}
	repair, err := pick(repairs, args)
	if err != nil {
		return err
	}
	previews, err := a.PreviewUndo(ctx, repair)
	if err != nil {
		return o.undoFailed(repair, err)
	}
	fmt.Fprintf(o.env.Out, "Undo of repair %s (%s)\nfor: %s\n\n", report.Clean(repair.ID), report.Clean(repair.Fix), report.Clean(repair.Subject.String()))
	for _, p := range previews {
		text, err := apply.Diff(p.Ref, p.Before, p.After, "taken back")
		if err != nil {
			return err
		}
		o.printDiff(o.env.Out, text)
	}
	if o.dryRun == "server" {
		fmt.Fprintln(o.env.Out, "\nDry run: the API server accepts this; nothing was changed.")
		return nil
	}
	if err := o.ask(ctx, "Take it back?", o.yes); err != nil {
		return err
	}
	if err := a.Undo(ctx, repair); err != nil {
		return o.undoFailed(repair, err)
	}
	fmt.Fprintf(o.env.Out, "Undone: repair %s.\n", repair.ID)
	return nil
}

func (o *fixCommand) undoFailed(r *apply.Repair, err error) error {
	if errors.Is(err, apply.ErrChanged) {
		return fmt.Errorf("repair %s cannot be taken back: what it changed has been changed again by somebody else (%w)", r.ID, err)
	}
	return err
}

// pick returns the repair to take back: the named one, or the newest that stands.
func pick(repairs []*apply.Repair, args []string) (*apply.Repair, error) {
	var newest *apply.Repair
	for _, r := range repairs {
		if len(args) == 1 && r.ID == args[0] {
			if !r.Open() {
				return nil, usage("repair %s is %s already", r.ID, r.State)
			}
			return r, nil
		}
		if r.Open() {
			newest = r
		}
	}
	switch {
	case len(args) == 1:
		return nil, usage("no repair %s; kubectl netdoctor history lists them", args[0])
	case newest == nil:
		return nil, usage("there is no repair to take back")
	}
	return newest, nil
}

func newHistory(c *cluster) *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "List the repairs of this cluster",
		Long: `List the repairs of this cluster, oldest first, and where each entry is kept: in a ConfigMap of kube-system, or in a file
of yours where you may not create one.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.applier()
			if err != nil {
				return err
			}
			repairs, err := a.Journal.List(cmd.Context())
			if len(repairs) == 0 {
				if err == nil {
					fmt.Fprintln(c.env.ErrOut, "No repairs.")
				}
				return err
			}
			w := tabwriter.NewWriter(c.env.Out, 0, 0, 3, ' ', 0)
			fmt.Fprintln(w, "ID\tTIME\tCHECK\tFIX\tSUBJECT\tSTATE\tKEPT IN")
			for _, r := range repairs {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", report.Clean(r.ID), r.Time.Format(time.RFC3339), report.Clean(r.Check),
					report.Clean(r.Fix), report.Clean(r.Subject.Path()), report.Clean(string(r.State)), report.Clean(r.Place))
			}
			return errors.Join(w.Flush(), err)
		},
	}
}
