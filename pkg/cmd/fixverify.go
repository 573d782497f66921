package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// repaired is a repair that was written, with what is needed to judge over it.
type repaired struct {
	plan   fixes.Plan
	repair *apply.Repair
	known  *apply.Known
	asked  apply.Asked // from outside, before it
}

// verify waits for the rollout, looks again and takes the repair back if it did not
// cure.
func (o *fixCommand) verify(cmd *cobra.Command, e *engine, r repaired) error {
	ctx := cmd.Context()
	stuck := o.wait(ctx, e.Applier, r.plan)
	if ctx.Err() != nil {
		return o.interrupted(ctx, e, r.repair)
	}
	after, err := o.look(ctx, cmd, all.Checks())
	if ctx.Err() != nil {
		return o.interrupted(ctx, e, r.repair)
	}
	if err != nil {
		return stopped(r.repair, fmt.Errorf("the repair is applied, but could not be verified: %w", err))
	}
	verdict, why := r.known.Verify(after, r.plan.Finding.Check)
	if verdict == apply.IsCured && stuck != nil {
		verdict, why = apply.NotCured, stuck.Error()
	}
	answers := o.askOutside(ctx, e, after, r.plan)
	wrong, notAsked := apply.Judge(r.asked, answers)
	if verdict == apply.IsCured && wrong != "" {
		verdict, why = apply.NotCured, wrong
	}
	switch verdict {
	case apply.IsCured:
		return o.cured(ctx, e, r, answers, notAsked)
	case apply.CannotSay:
		err := e.Close(ctx, r.repair, apply.Applied, "whether it cured is not known: "+why)
		return &exit{exitUnknown, errors.Join(fmt.Errorf("applied, but whether it cured is not known: %s; kubectl netdoctor %s takes it back", why, undoOf(r.repair)), err)}
	}
	o.tell("Not cured: %s\nTaking it back.", report.Clean(why))
	if err := e.RollBack(context.WithoutCancel(ctx), r.repair, "not cured: "+why); err != nil {
		return fmt.Errorf("rolling back repair %s: %w", r.repair.ID, err)
	}
	return &exit{exitFindings, errors.New("the repair did not cure and was taken back; the cluster is as it was")}
}

func (o *fixCommand) cured(ctx context.Context, e *engine, r repaired, answers apply.Asked, notAsked []string) error {
	outcome := r.plan.Finding.Check.ID + " finds nothing any more, and nothing new is broken"
	good := 0
	for _, a := range answers.Answers {
		if a.OK() {
			good++
		}
	}
	if good > 0 {
		outcome += fmt.Sprintf("; asked from outside, %d of %d DNS servers answer", good, len(answers.Answers)+len(answers.Not))
	}
	if err := e.Close(ctx, r.repair, apply.Cured, outcome); err != nil {
		return fmt.Errorf("cured, but the journal could not be written: %w", err)
	}
	fmt.Fprintf(o.env.Out, "Cured: %s.\n", outcome)
	for _, text := range notAsked {
		o.tell("Not asked from outside: %s", report.Clean(text))
	}
	return nil
}

// interrupted takes back what was written.
func (o *fixCommand) interrupted(ctx context.Context, e *engine, r *apply.Repair) error {
	o.tell("Interrupted: taking it back. Once more stops at once.")
	if err := e.RollBack(context.WithoutCancel(ctx), r, "interrupted before it was verified"); err != nil {
		return stopped(r, fmt.Errorf("interrupted before it was verified, and it could not be taken back: %w", err))
	}
	return errors.New("interrupted before it was verified; the repair was taken back, the cluster is as it was")
}

// outside returns the DNS servers that are asked from outside about a repair: those of the
// cluster, where it is one of DNS.
func outside(look apply.Look, plan fixes.Plan) []*facts.Pod {
	for _, l := range all.Layers() {
		if l.Name == "coredns" && slices.Contains(l.Checks, plan.Finding.Check) {
			return look.Snapshot.DNSPods()
		}
	}
	for _, p := range look.Snapshot.DNSPods() {
		if slices.Contains(plan.Rollouts, p.Owner) {
			return look.Snapshot.DNSPods()
		}
	}
	return nil
}

func (o *fixCommand) askOutside(ctx context.Context, e *engine, look apply.Look, plan fixes.Plan) apply.Asked {
	asked := apply.Asked{Snapshot: look.Snapshot}
	if len(outside(look, plan)) == 0 || o.noVerify {
		return asked
	}
	line := newProgress(o.env)
	defer line.clear()
	line.show("asking the DNS servers from outside")
	for _, a := range gather.AskDNS(ctx, e.config, look.Snapshot) {
		asked.Answers = append(asked.Answers, a.Answers...)
		if a.Not != "" {
			asked.Not = append(asked.Not, apply.NotAsked{Pod: a.Pod, Why: a.Not})
		}
	}
	return asked
}

func (o *fixCommand) wait(ctx context.Context, a *apply.Applier, plan fixes.Plan) error {
	line := newProgress(o.env)
	defer line.clear()
	bounded, cancel := context.WithTimeout(ctx, o.rollout)
	defer cancel()
	if err := a.Wait(bounded, plan, line.show); err != nil {
		return err
	}
	settle := plan.Fix.Settle
	if o.settle >= 0 {
		settle = o.settle
	}
	return apply.Settle(ctx, settle, line.show)
}
