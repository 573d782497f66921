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

func newHistory(c *cluster) *cobra.Command {
	return &cobra.Command{
		Use:   "history [ID]",
		Short: "List the repairs of this cluster",
		Long: `List the repairs of this cluster, oldest first, and where each entry is kept: in a ConfigMap of kube-system, or in a file
of yours where you may not create one. With ID: all about one repair.`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := c.engine()
			if err != nil {
				return err
			}
			repairs, err := e.Journal.List(cmd.Context())
			if len(args) == 1 {
				return c.tellOne(repairs, args[0], err)
			}
			return c.tellAll(repairs, err)
		},
	}
}

// tellAll lists the repairs; problem is what could not be read.
func (c *cluster) tellAll(repairs []*apply.Repair, problem error) error {
	if len(repairs) == 0 {
		if problem == nil {
			fmt.Fprintln(c.env.ErrOut, "No repairs.")
		}
		return problem
	}
	w := tabwriter.NewWriter(c.env.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "ID\tTIME\tWHO\tCHECK\tFIX\tSUBJECT\tSTATE\tKEPT IN")
	var half []*apply.Repair
	for _, r := range repairs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", report.Clean(r.ID), r.Time.Format(time.RFC3339), report.Clean(r.Who), report.Clean(r.Check),
			report.Clean(r.Fix), report.Clean(r.Subject.Path()), report.Clean(string(r.State)), report.Clean(r.Place))
		if r.Half() {
			half = append(half, r)
		}
	}
	err := w.Flush()
	for _, r := range half {
		fmt.Fprintf(c.env.Out, "\n%s\n", report.Clean(halfText(r)))
	}
	return errors.Join(err, problem)
}

// halfText says how a repair stands that stopped half way, and how to end it.
func halfText(r *apply.Repair) string {
	done := fmt.Sprintf("%d of %d changes are written, the next one perhaps", r.Done, len(r.Steps))
	if r.State == apply.TakingBack {
		done = fmt.Sprintf("it was being taken back, %d of %d changes still stand, the last of them perhaps not", r.Done, len(r.Steps))
	}
	return fmt.Sprintf("Repair %s is half done: %s. kubectl netdoctor %s takes it back, kubectl netdoctor %s carries it on.", r.ID, done, undoOf(r), resumeOf(r))
}

func (c *cluster) tellOne(repairs []*apply.Repair, id string, problem error) error {
	for _, r := range repairs {
		if r.ID == id {
			o := &fixCommand{examination: examination{cluster: c}}
			o.printRepair(r)
			return problem
		}
	}
	if problem != nil {
		return problem
	}
	return usage("no repair %s; kubectl netdoctor history lists them", id)
}

// printRepair prints all that the journal knows of a repair.
func (o *fixCommand) printRepair(r *apply.Repair) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(o.env.Out, "%-9s %s\n", name+":", report.Clean(text))
		}
	}
	line("Repair", r.ID)
	line("Time", r.Time.Format(time.RFC3339))
	line("Who", r.Who)
	line("Version", r.Version)
	line("Cluster", r.Server)
	line("Finding", fmt.Sprintf("%s: %s %s", r.Check, r.Subject, r.Message))
	for _, e := range r.Evidence {
		line("Evidence", e.From+": "+e.Text)
	}
	line("Fix", r.Fix)
	line("State", string(r.State))
	line("Outcome", r.Outcome)
	line("Kept in", r.Place)
	if r.Half() {
		fmt.Fprintln(o.env.Out, report.Clean(halfText(r)))
	}
	for _, s := range r.Steps {
		switch {
		case s.Create != nil:
			line("Created", s.Ref.String())
		case s.Delete != nil:
			line("Deleted", s.Ref.String())
		default:
			o.printChange("Changed:", s.Ref, s.Before, s.After, "before", "repaired")
		}
	}
	for _, p := range r.Restarts {
		line("Restarted", "Pod "+p.Namespace+"/"+p.Name)
	}
}
