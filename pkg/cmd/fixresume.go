package cmd

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// resumed carries on a repair that stopped half way, or that was written and never judged.
func (o *fixCommand) resumed(cmd *cobra.Command, args []string) error {
	if len(args) > 1 || o.from != "" || o.dryRun != "none" || o.output != "diff" {
		return usage("--resume takes the ID of a repair, if anything")
	}
	ctx := cmd.Context()
	e, err := o.repairer()
	if err != nil {
		return err
	}
	r, err := o.halfDone(ctx, e, args)
	if err != nil {
		return err
	}
	if r.OnNodes() {
		o.depth, o.filesOnly = facts.Host.String(), true // what is judged lies there
	}
	back := r.State == apply.TakingBack
	o.printRepair(r)
	question := "Carry it on?"
	if back {
		question = "It was being taken back. Carry that on?"
	}
	if err := o.ask(ctx, question, o.yes); err != nil {
		return err
	}
	if err := e.Resume(ctx, r); err != nil {
		o.printConflict(err)
		return stopped(r, err)
	}
	if back {
		fmt.Fprintf(o.env.Out, "Taken back: repair %s.\n", r.ID)
		return nil
	}
	o.tell("\nApplied: repair %s.", r.ID)
	plan, err := planOf(r)
	if err != nil || o.noVerify || r.Known == nil {
		return err
	}
	return o.verify(cmd, e, repaired{plan: plan, repair: r, known: r.Known})
}

func (o *fixCommand) halfDone(ctx context.Context, e *engine, args []string) (*apply.Repair, error) {
	list, err := e.Journal.List(ctx)
	if err != nil && len(args) == 0 {
		return nil, err
	}
	for _, r := range slices.Backward(list) {
		if len(args) == 1 && r.ID == args[0] {
			if !r.Half() && r.State != apply.Applied {
				return nil, usage("repair %s is %s: there is nothing to carry on", r.ID, r.State)
			}
			return r, nil
		}
		if len(args) == 0 && r.Half() {
			return r, nil
		}
	}
	if len(args) == 1 {
		return nil, usage("no repair %s; kubectl netdoctor history lists them", args[0])
	}
	return nil, usage("no repair is half done")
}

// planOf returns as much of a repair's plan as judging over it takes.
func planOf(r *apply.Repair) (fixes.Plan, error) {
	check := named(r.Check)
	i := slices.IndexFunc(fixes.All(), func(f *fixes.Fix) bool { return f.ID == r.Fix })
	if len(check) != 1 || i < 0 {
		return fixes.Plan{}, fmt.Errorf("repair %s is written, but cannot be judged: this version knows no check %s or no fix %s", r.ID, r.Check, r.Fix)
	}
	plan := fixes.Plan{
		Fix: fixes.All()[i], Rollouts: r.Rollouts,
		Finding: checks.Finding{Check: check[0], Subject: r.Subject, Places: r.Places, Message: r.Message, Evidence: r.Evidence},
	}
	for _, p := range r.Restarts {
		plan.Restarts = append(plan.Restarts, &facts.Pod{Namespace: p.Namespace, Name: p.Name, Rare: &facts.Rare{UID: string(p.UID)}})
	}
	return plan, nil
}
