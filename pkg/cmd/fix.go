package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// repairTimeout is how long a rollout may take by default: as long as a Deployment's
// progress deadline (600 s) would be too long to wait for someone who was paged.
const repairTimeout = 5 * time.Minute

type fixCommand struct {
	examination
	params   fixes.Params
	with     string
	dryRun   string
	output   string
	yes      bool
	noVerify bool
	rollout  time.Duration
	settle   time.Duration
}

func newFix(c *cluster) *cobra.Command {
	o := &fixCommand{examination: examination{cluster: c}}
	cmd := &cobra.Command{
		Use:   "fix [CHECK]",
		Short: "Repair what a check found: shown, asked, applied, verified",
		Long: `Repair what a check found. Without CHECK: list what could be repaired.

The change is shown as the API server would carry it out, then asked for, journalled, written only if the object is
still the one that was shown, and verified by looking again. What does not cure, or breaks something new, is taken
back. "kubectl netdoctor undo" takes a repair back at any time.`,
		Example: `  kubectl netdoctor fix
  kubectl netdoctor fix coredns-loop --dry-run
  kubectl netdoctor fix coredns-loop --upstream 10.0.0.2 --upstream 10.0.0.3`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeFixable,
		RunE: o.run,
	}
	o.addFlags(cmd)
	fs := cmd.Flags()
	fs.StringVar(&o.dryRun, "dry-run", "none", "server: show what the API server would do, write nothing; client: do not ask it; none")
	fs.Lookup("dry-run").NoOptDefVal = "server"
	fs.StringVar(&o.with, "with", "", "which fix, where several cure the finding")
	fs.StringArrayVar(&o.params.Upstreams, "upstream", nil, "a DNS server for CoreDNS to ask, as IP or IP:port (repeatable; corefile-forward)")
	fs.BoolVar(&o.params.AcceptRisk, "accept-risk", false, "go on with a fix that costs security")
	fs.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	fs.BoolVar(&o.noVerify, "no-verify", false, "do not look again afterwards, and take nothing back")
	fs.StringVarP(&o.output, "output", "o", "diff", "diff; or yaml or patch, to commit the change elsewhere: then nothing is written here")
	fs.DurationVar(&o.rollout, "rollout-timeout", repairTimeout, "how long the rollout may take")
	fs.DurationVar(&o.settle, "settle", -1, "how long to watch after the rollout before judging (default: what the fix asks for)")
	_ = cmd.RegisterFlagCompletionFunc("with", completeFixes)
	_ = cmd.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{"server", "client", "none"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"diff", "yaml", "patch"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *fixCommand) run(cmd *cobra.Command, args []string) error {
	if err := o.validate(args); err != nil {
		return err
	}
	before, err := o.look(cmd.Context(), cmd, all.Checks())
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return o.list(before)
	}
	finding, err := find(before, args[0])
	if err != nil || finding == nil {
		return err
	}
	fix, err := o.choose(finding.Check)
	if err != nil {
		return err
	}
	plan, err := fixes.Offer(before.Snapshot, fix, *finding, o.params)
	if err != nil {
		return err
	}
	if o.output != "diff" {
		return o.export(plan)
	}
	if o.dryRun == "client" || o.from != "" {
		return o.showLocal(plan)
	}
	return o.repair(cmd, before, plan)
}

func (o *fixCommand) validate(args []string) error {
	switch {
	case !slices.Contains([]string{"none", "server", "client"}, o.dryRun):
		return usage("--dry-run=%s: must be server, client or none", o.dryRun)
	case !slices.Contains([]string{"diff", "yaml", "patch"}, o.output):
		return usage("-o %s: must be one of diff, yaml, patch", o.output)
	case o.from != "" && o.dryRun == "none" && o.output == "diff" && len(args) > 0:
		return usage("a bundle cannot be repaired; with --from, add --dry-run to see the change")
	case o.rollout <= 0:
		return usage("--rollout-timeout %s: must be longer than nothing", o.rollout)
	}
	if len(args) == 0 {
		return nil
	}
	c := named(args[0])
	if len(c) != 1 || c[0].ID != args[0] {
		return usage("no check is called %q; kubectl netdoctor fix lists what could be repaired", args[0])
	}
	if len(fixes.For(c[0])) == 0 {
		return usage("there is no automatic fix for %s; kubectl netdoctor explain %s tells how to cure it by hand", args[0], args[0])
	}
	return nil
}

// list tells which findings could be repaired.
func (o *fixCommand) list(look apply.Look) error {
	any := false
	for _, r := range look.Results {
		for _, f := range r.Findings {
			for _, fix := range fixes.For(r.Check) {
				any = true
				fmt.Fprintf(o.env.Out, "%s %s\n  kubectl netdoctor fix %s --with %s --dry-run\n  %s\n",
					report.Clean(f.Subject.String()), report.Clean(f.Message), r.Check.ID, fix.ID, fix.Title)
			}
		}
	}
	if !any {
		fmt.Fprintln(o.env.Out, "Nothing was found that could be repaired from here; kubectl netdoctor check tells what there is.")
	}
	return nil
}

// find returns the finding to repair, or nil where there is none and that is certain.
func find(look apply.Look, id string) (*checks.Finding, error) {
	for _, r := range look.Results {
		if r.Check.ID != id {
			continue
		}
		switch r.Status {
		case checks.Failed:
			return &r.Findings[0], nil
		case checks.Unknown:
			return nil, &exit{exitUnknown, fmt.Errorf("whether there is anything to repair is not known: %s", r.Reason)}
		case checks.Skipped:
			return nil, usage("%s was not looked at: %s", id, r.Reason)
		}
	}
	return nil, usage("%s found nothing: there is nothing to repair", id)
}

func (o *fixCommand) choose(c *checks.Check) (*fixes.Fix, error) {
	var ids []string
	for _, f := range fixes.For(c) {
		if o.with == "" || f.ID == o.with {
			return f, nil
		}
		ids = append(ids, f.ID)
	}
	return nil, usage("--with %s: what cures %s is %s", o.with, c.ID, strings.Join(ids, ", "))
}

// repair carries a plan out against the cluster, from the dry run to the verdict.
func (o *fixCommand) repair(cmd *cobra.Command, before apply.Look, plan fixes.Plan) error {
	ctx := cmd.Context()
	a, err := o.applier()
	if err != nil {
		return err
	}
	previews, err := a.Preview(ctx, plan)
	if err != nil {
		return o.changed(err)
	}
	if err := o.show(plan, previews); err != nil {
		return err
	}
	switch {
	case o.dryRun == "server":
		fmt.Fprintln(o.env.Out, "\nDry run: the API server accepts this; nothing was changed.")
		return nil
	case plan.Owner != nil && plan.Owner.Reverts:
		return fmt.Errorf("not applied: %s would take it back at once; %s", plan.Owner.Name, plan.Owner.Where)
	}
	if err := o.ask(ctx, "Apply this?", o.yes); err != nil {
		return err
	}
	repair, err := a.Apply(ctx, plan)
	if err != nil {
		return o.stopped(repair, o.changed(err))
	}
	fmt.Fprintf(o.env.ErrOut, "\nApplied as repair %s. To take it back:\n  kubectl netdoctor undo %s\n", repair.ID, repair.ID)
	if o.noVerify {
		return nil
	}
	return o.verify(cmd, a, before, plan, repair)
}

// verify waits for the rollout, looks again and takes the repair back if it did not
// cure.
func (o *fixCommand) verify(cmd *cobra.Command, a *apply.Applier, before apply.Look, plan fixes.Plan, repair *apply.Repair) error {
	ctx := cmd.Context()
	stuck := o.wait(ctx, a, plan)
	if ctx.Err() != nil {
		return o.stopped(repair, errors.New("interrupted before it was verified"))
	}
	after, err := o.look(ctx, cmd, all.Checks())
	if err != nil {
		return o.stopped(repair, fmt.Errorf("the repair is applied, but could not be verified: %w", err))
	}
	verdict, why := apply.Verify(before, after, plan.Finding)
	if verdict == apply.IsCured && stuck != nil {
		verdict, why = apply.NotCured, stuck.Error()
	}
	switch verdict {
	case apply.IsCured:
		repair.State = apply.Cured
		if err := a.Journal.Write(ctx, repair); err != nil {
			return fmt.Errorf("cured, but the journal could not be written: %w", err)
		}
		fmt.Fprintf(o.env.Out, "Cured: %s finds nothing any more, and nothing new is broken.\n", plan.Finding.Check.ID)
		return nil
	case apply.CannotSay:
		return &exit{exitUnknown, fmt.Errorf("applied, but whether it cured is not known: %s; kubectl netdoctor undo %s takes it back", why, repair.ID)}
	}
	fmt.Fprintf(o.env.ErrOut, "Not cured: %s\nTaking it back.\n", report.Clean(why))
	if err := a.RollBack(context.WithoutCancel(ctx), repair); err != nil {
		return fmt.Errorf("rolling back repair %s: %w", repair.ID, err)
	}
	return &exit{exitFindings, errors.New("the repair did not cure and was taken back; the cluster is as it was")}
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

// stopped says how things stand after a repair that did not come to its end.
func (o *fixCommand) stopped(repair *apply.Repair, err error) error {
	if repair == nil || !repair.Open() {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	return fmt.Errorf("%w; repair %s stands, kubectl netdoctor undo %s takes it back", err, repair.ID, repair.ID)
}

func (o *fixCommand) changed(err error) error {
	if errors.Is(err, apply.ErrChanged) {
		return fmt.Errorf("%w since it was looked at; run the command again to see the new state", err)
	}
	return err
}
