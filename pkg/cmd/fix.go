package cmd

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// repairTimeout is how long a rollout may take by default: as long as a Deployment's
// progress deadline (600 s) would be too long to wait for someone who was paged.
const repairTimeout = 5 * time.Minute

type fixCommand struct {
	examination
	params      fixes.Params
	manifest    string
	manifestSum string
	with        string
	dryRun      string
	output      string
	yes         bool
	confirm     []string
	force       bool
	resume      bool
	noVerify    bool
	rollout     time.Duration
	settle      time.Duration
	repairs     *engine // of repairer
	listing     bool    // plans are listed, and none is carried out yet
}

func newFix(c *cluster) *cobra.Command {
	o := &fixCommand{examination: examination{cluster: c}}
	cmd := &cobra.Command{
		Use:   "fix [CHECK [KIND/NAMESPACE/NAME]]",
		Short: "Repair what a check found: shown, asked, applied, verified",
		Long: `Repair what a check found: all that it found in turn, or what it found about one object. Without CHECK: list what can be
repaired, causes before what they explain, and on a terminal go through what you pick.

The change is shown as the API server would carry it out, then asked for, journalled, written only if the object is
still the one that was shown, and verified by looking again. What does not cure, or breaks something new, is taken
back. "kubectl netdoctor undo" takes a repair back at any time.

Ctrl-C lets the write under way come to its end and takes the repair back; a second one stops at once. What was left half
done "kubectl netdoctor history" tells, and "fix --resume [ID]" or "undo [ID]" brings it to an end.`,
		Example: `  kubectl netdoctor fix
  kubectl netdoctor fix coredns-loop --dry-run
  kubectl netdoctor fix coredns-loop --upstream 10.0.0.2 --upstream 10.0.0.3
  kubectl netdoctor fix coredns-loop --with kubelet-resolvconf --allow-node-changes
  kubectl netdoctor fix coredns-loop --upstream 10.0.0.2 -y --confirm DIGEST
  kubectl netdoctor fix cni-not-installed --plugin flannel
  kubectl netdoctor fix cni-not-installed --plugin cilium --manifest cilium.yaml --manifest-sha256 SUM
  kubectl netdoctor fix coredns-loop --upstream 10.0.0.2 -o rbac`,
		Args: cobra.MaximumNArgs(2), ValidArgsFunction: completeFixable,
		RunE: o.run,
	}
	o.addFlags(cmd)
	fs := cmd.Flags()
	fs.StringVar(&o.dryRun, "dry-run", "none", "server: show what the API server would do, write nothing; client: do not ask it; none")
	fs.Lookup("dry-run").NoOptDefVal = "server"
	fs.StringVar(&o.with, "with", "", "which fix, where several cure the finding")
	fs.StringArrayVar(&o.params.Upstreams, "upstream", nil, "a DNS server for CoreDNS to ask, as IP or IP:port (repeatable; corefile-forward)")
	fs.BoolVar(&o.params.AcceptRisk, "accept-risk", false, "go on with a fix that costs security")
	fs.StringVar(&o.params.Plugin, "plugin", "", "the network plugin to install: flannel, calico, cilium, weave-fork …")
	fs.StringVar(&o.manifest, "manifest", "", "its manifest: a file, an https address, or - for stdin (default: the release that kubectl netdoctor plugins PLUGIN names, if it does)")
	fs.StringVar(&o.manifestSum, "manifest-sha256", "", "the sha256 of the manifest, in hex: another one is refused, and with it plain http will do")
	fs.StringVar(&o.params.PodCIDR, "pod-cidr", "", "the pods' range, where it cannot be found out")
	fs.StringVar(&o.params.Interface, "interface", "", "the interface by which nodes reach each other")
	fs.BoolVar(&o.params.OnNodes, "allow-node-changes", false, "go on with a fix that changes nodes, by a pod that runs as root there for a moment; implies --depth host")
	fs.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	fs.StringArrayVar(&o.confirm, "confirm", nil, "apply the plan with this digest, as --dry-run printed it, and no other (repeatable)")
	fs.BoolVar(&o.force, "force", false, "apply it although an operator or GitOps takes it back")
	fs.BoolVar(&o.resume, "resume", false, "carry a repair on that stopped half way: the newest, or the one whose ID is given")
	fs.BoolVar(&o.noVerify, "no-verify", false, "do not look again afterwards, and take nothing back")
	fs.StringVarP(&o.output, "output", "o", "diff", "diff; yaml, patch or kustomize, to commit the change elsewhere, or rbac, the least rights that it takes: then nothing is written here")
	fs.DurationVar(&o.rollout, "rollout-timeout", repairTimeout, "how long the rollout may take")
	fs.DurationVar(&o.settle, "settle", -1, "how long to watch after the rollout before judging (default: what the fix asks for)")
	_ = cmd.RegisterFlagCompletionFunc("with", completeFixes)
	_ = cmd.RegisterFlagCompletionFunc("plugin", completePlugins)
	_ = cmd.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{"server", "client", "none"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(fixOutputs, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *fixCommand) run(cmd *cobra.Command, args []string) error {
	if o.resume {
		return o.resumed(cmd, args)
	}
	if err := o.validate(args); err != nil {
		return err
	}
	if err := o.readNamed(cmd.Context()); err != nil {
		return err
	}
	if o.params.OnNodes && !cmd.Flags().Changed("depth") && o.from == "" {
		o.depth = facts.Host.String()
	}
	o.filesOnly = o.params.OnNodes && o.depth == facts.Host.String()
	before, err := o.look(cmd.Context(), cmd, all.Checks())
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return o.overview(cmd, before)
	}
	list, err := findings(before, args[0], slices.Concat(args, []string{""})[1])
	if err != nil {
		return err
	}
	return o.inTurn(cmd, before, list)
}

func (o *fixCommand) validate(args []string) error {
	switch {
	case !slices.Contains([]string{"none", "server", "client"}, o.dryRun):
		return usage("--dry-run=%s: must be server, client or none", o.dryRun)
	case !slices.Contains(fixOutputs, o.output):
		return usage("-o %s: must be one of diff, yaml, patch, kustomize, rbac", o.output)
	case o.from != "" && o.dryRun == "none" && o.output == "diff" && len(args) > 0:
		return usage("a bundle cannot be repaired; with --from, add --dry-run to see the change")
	case o.rollout <= 0:
		return usage("--rollout-timeout %s: must be longer than nothing", o.rollout)
	case len(args) == 0 && len(o.confirm) > 0:
		return usage("--confirm needs CHECK")
	}
	if err := o.valid(); err != nil {
		return err
	}
	if err := o.validManifest(); err != nil {
		return err
	}
	if len(args) == 0 {
		return nil
	}
	c := named(args[0])
	if len(c) != 1 || c[0].ID != args[0] {
		return usage("no check is called %q; kubectl netdoctor fix lists what could be repaired", args[0])
	}
	list := fixes.For(c[0])
	if len(list) == 0 {
		return usage("there is no automatic fix for %s; kubectl netdoctor explain %s tells how to cure it by hand", args[0], args[0])
	}
	if o.with != "" && !slices.ContainsFunc(list, func(f *fixes.Fix) bool { return f.ID == o.with }) {
		return usage("--with %s: what cures %s is %s", o.with, args[0], fixNames(list))
	}
	return nil
}

func fixNames(list []*fixes.Fix) string {
	text := ""
	for i, f := range list {
		if i > 0 {
			text += ", "
		}
		text += f.ID
	}
	return text
}

// tell writes a line about the course of things to stderr.
func (c *cluster) tell(format string, args ...any) {
	fmt.Fprintf(c.env.ErrOut, format+"\n", args...)
}
