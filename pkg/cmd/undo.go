package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

func newUndo(c *cluster) *cobra.Command {
	o := &fixCommand{examination: examination{cluster: c}}
	cmd := &cobra.Command{
		Use:   "undo [ID]",
		Short: "Take a repair back",
		Long: `Take a repair back: the newest, or the one with this ID ("kubectl netdoctor history" lists them). It is shown and asked
for first. Where somebody has changed an object since, nothing is written: you see what the repair did to it and what they
did. --force takes the repair's own change back all the same and keeps the rest of theirs.`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: o.undo,
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&o.force, "force", false, "also where somebody has changed the object since; what else they changed is kept")
	cmd.Flags().BoolVar(&o.params.OnNodes, "allow-node-changes", false, "take back what a repair changed on nodes as well, by a pod that runs as root there for a moment")
	o.addImageFlags(cmd.Flags(), "with --allow-node-changes")
	cmd.Flags().StringVar(&o.dryRun, "dry-run", "none", "server: show what would be done, write nothing; none")
	cmd.Flags().Lookup("dry-run").NoOptDefVal = "server"
	return cmd
}

func (o *fixCommand) undo(cmd *cobra.Command, args []string) error {
	if o.dryRun != "none" && o.dryRun != "server" {
		return usage("--dry-run=%s: must be server or none", o.dryRun)
	}
	if err := o.deep.valid(); err != nil {
		return err
	}
	ctx := cmd.Context()
	e, err := o.repairer()
	if err != nil {
		return err
	}
	repairs, err := e.Journal.List(ctx)
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
	previews, err := e.PreviewUndo(ctx, repair, o.force)
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
		fmt.Fprintln(o.env.Out, "\nDry run: "+accepted(repair.OnNodes())+"; nothing was changed.")
		return nil
	}
	if err := o.ask(ctx, "Take it back?", o.yes); err != nil {
		return err
	}
	if err := e.Undo(ctx, repair, o.force); err != nil {
		return o.undoFailed(repair, err)
	}
	fmt.Fprintf(o.env.Out, "Undone: repair %s.\n", repair.ID)
	return nil
}

func (o *fixCommand) undoFailed(r *apply.Repair, err error) error {
	if errors.Is(err, apply.ErrChanged) {
		o.printConflict(err)
		return fmt.Errorf("repair %s cannot be taken back: what it changed has been changed again by somebody else (%w);"+
			" --force takes the repair's own change back and keeps theirs", r.ID, err)
	}
	if r.Half() {
		return stopped(r, err)
	}
	return err
}

// printConflict shows what the repair made of an object and what became of it since.
func (o *fixCommand) printConflict(err error) {
	var c *apply.Conflict
	if !errors.As(err, &c) {
		return
	}
	o.printChange("What the repair did:", c.Ref, c.Before, c.After, "before", "after the repair")
	o.printChange("What somebody did since:", c.Ref, c.After, c.Now, "after the repair", "now")
}

func (o *fixCommand) printChange(title string, r facts.Ref, before, after *unstructured.Unstructured, was, became string) {
	text, err := apply.DiffBetween(r, before, after, was, became)
	if err != nil || text == "" {
		return // the words that come with it say enough
	}
	fmt.Fprintln(o.env.Out, title)
	o.printDiff(o.env.Out, text)
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
