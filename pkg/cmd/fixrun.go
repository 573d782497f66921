package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// errNotThisOne skips a plan that --confirm does not name.
var errNotThisOne = errors.New("the plan is another one")

// inTurn repairs findings one by one. After each repair it looks again: one change may
// cure several. What cannot be planned, or is not confirmed, keeps nobody from the next;
// what goes wrong while it is carried out does.
func (o *fixCommand) inTurn(cmd *cobra.Command, look apply.Look, list []checks.Finding) error {
	if o.output != "diff" {
		return o.exportAll(cmd, look, list)
	}
	var problem error
	digests, matched := []string{}, false
	for i, f := range list {
		if i > 0 {
			fmt.Fprintln(o.env.Out)
		}
		still := again(look, f)
		if still == nil {
			o.tell("Not there any more: %s %s", report.Clean(f.Subject.String()), report.Clean(f.Message))
			continue
		}
		x := o.planFor(cmd.Context(), look, *still)
		if x.err != nil {
			problem = o.passOver(problem, len(list), x.finding, x.err)
			continue
		}
		digest, err := apply.Digest(x.plan)
		if err != nil {
			return err
		}
		digests = append(digests, digest)
		if len(o.confirm) > 0 && !slices.Contains(o.confirm, digest) {
			continue
		}
		matched = true
		written, err := o.one(cmd, look, x.plan, digest)
		switch {
		case errors.Is(err, errNotConfirmed) && len(list) > 1 && cmd.Context().Err() == nil:
			problem = o.passOver(problem, len(list), x.finding, err)
			continue
		case err != nil:
			return err
		}
		if written && i+1 < len(list) {
			if look, err = o.look(cmd.Context(), cmd, all.Checks()); err != nil {
				return err
			}
		}
	}
	if len(o.confirm) > 0 && !matched && len(digests) > 0 {
		return fmt.Errorf("%w than the one that was confirmed: its digest is %s, not %s; nothing was changed. Add --dry-run to see it",
			errNotThisOne, strings.Join(digests, " or "), strings.Join(o.confirm, " or "))
	}
	return problem
}

// passOver keeps the first problem; where there are several findings it tells each.
func (o *fixCommand) passOver(first error, of int, f checks.Finding, err error) error {
	if of > 1 {
		o.tell("%s: %s", report.Clean(f.Subject.String()), report.Clean(err.Error()))
	}
	if first == nil {
		return err
	}
	return first
}

// again finds a finding in another look, or nil.
func again(look apply.Look, f checks.Finding) *checks.Finding {
	for _, r := range look.Results {
		for i := range r.Findings {
			if r.Check == f.Check && r.Findings[i].Subject == f.Subject {
				return &r.Findings[i]
			}
		}
	}
	return nil
}

func (o *fixCommand) exportAll(cmd *cobra.Command, look apply.Look, list []checks.Finding) error {
	var plans []fixes.Plan
	var problem error
	for _, f := range list {
		x := o.planFor(cmd.Context(), look, f)
		if x.err != nil {
			problem = o.passOver(problem, len(list), f, x.err)
			continue
		}
		plans = append(plans, x.plan)
	}
	if len(plans) == 0 {
		return problem
	}
	return o.export(look, plans)
}

// one shows a plan and, unless that is all that was asked for, carries it out.
func (o *fixCommand) one(cmd *cobra.Command, look apply.Look, plan fixes.Plan, digest string) (written bool, err error) {
	if o.dryRun == "client" || o.from != "" {
		return false, o.showLocal(plan, digest)
	}
	return o.repair(cmd, look, plan, digest)
}

// repair carries a plan out against the cluster, from the dry run to the verdict.
func (o *fixCommand) repair(cmd *cobra.Command, before apply.Look, plan fixes.Plan, digest string) (written bool, err error) {
	ctx := cmd.Context()
	e, err := o.repairer()
	if err != nil {
		return false, err
	}
	if err := e.permitted(ctx, plan); err != nil {
		return false, err
	}
	previews, err := e.Preview(ctx, plan)
	if err != nil {
		return false, changed(err)
	}
	if err := o.show(plan, previews); err != nil {
		return false, err
	}
	switch {
	case o.dryRun == "server":
		fmt.Fprintf(o.env.Out, "\nDry run: %s; nothing was changed.\nDigest: %s (apply this plan and no other: -y --confirm %s)\n", accepted(plan.Fix.OnNodes), digest, digest)
		return false, nil
	case plan.Owner != nil && plan.Owner.Reverts && !o.force:
		return false, fmt.Errorf("not applied: %s would take it back at once; %s (-o patch, yaml or kustomize prints the change for that; --force applies it here all the same)",
			plan.Owner.Name, plan.Owner.Where)
	}
	if err := o.ask(ctx, "Apply this?", o.yes); err != nil {
		return false, err
	}
	asked := o.askOutside(ctx, e, before, plan)
	known := apply.Remember(before, plan.Finding)
	repair, err := e.Apply(ctx, plan, known)
	if err != nil {
		return false, stopped(repair, changed(err))
	}
	o.tell("\nApplied as repair %s. To take it back:\n  kubectl netdoctor %s", repair.ID, undoOf(repair))
	if o.noVerify {
		return true, nil
	}
	return true, o.verify(cmd, e, repaired{plan, repair, known, asked})
}

// permitted tells which rights are missing, all at once, before anything is tried.
func (e *engine) permitted(ctx context.Context, plan fixes.Plan) error {
	rights, err := apply.Rights(plan, e.Mapper, nil)
	if err != nil {
		return err
	}
	missing, err := apply.Missing(ctx, rights, e.allowed)
	if err != nil || len(missing) == 0 {
		return nil //nolint:nilerr // who may not ask finds out in the dry run
	}
	return fmt.Errorf("you lack rights for this repair; nothing was changed. What is missing, as rules: %s (-o rbac prints all that it takes)", asRules(missing))
}

// undoOf is the command that takes a repair back, and resumeOf the one that carries it on.
func undoOf(r *apply.Repair) string { return "undo " + r.ID + allowed(r) }

func resumeOf(r *apply.Repair) string { return "fix --resume " + r.ID + allowed(r) }

func allowed(r *apply.Repair) string {
	if r.OnNodes() {
		return " --allow-node-changes"
	}
	return ""
}

// accepted says who went along with a dry run.
func accepted(onNodes bool) string {
	if onNodes {
		return "the nodes were asked, and have what is to be changed"
	}
	return "the API server accepts this"
}

// stopped says how things stand after a repair that did not come to its end.
func stopped(repair *apply.Repair, err error) error {
	switch {
	case repair != nil && repair.Half():
		return fmt.Errorf("%w; repair %s is half done: kubectl netdoctor %s takes it back, %s carries it on", err, repair.ID, undoOf(repair), resumeOf(repair))
	case repair != nil && repair.Open():
		return fmt.Errorf("%w; repair %s stands, kubectl netdoctor %s takes it back", err, repair.ID, undoOf(repair))
	case repair != nil && repair.State == apply.RolledBack:
		return fmt.Errorf("%w; what was written is taken back", err)
	}
	return fmt.Errorf("%w; nothing was changed", err)
}

func changed(err error) error {
	if errors.Is(err, apply.ErrChanged) {
		return fmt.Errorf("%w since it was looked at; run the command again to see the new state", err)
	}
	return err
}
