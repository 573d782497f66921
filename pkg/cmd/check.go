package cmd

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

type checkCommand struct {
	examination
	output string
	failOn string
	ignore []string
}

func newCheck(c *cluster) *cobra.Command {
	o := &checkCommand{examination: examination{cluster: c}}
	cmd := &cobra.Command{
		Use:   "check [CHECK|LAYER ...]",
		Short: "Diagnose the network: root causes, evidence, symptoms",
		Long: `Diagnose the network of a cluster, or of a saved bundle. Nothing is changed, and no pod is started but with --depth probe or host.

Without arguments every check runs. Name checks or layers to run those alone; -n NAMESPACE limits the checks of
workloads to it, while the network's own components are always looked at.

Exit codes: 0 nothing found at or above --fail-on and every question answered, 1 findings, 2 failure or misuse,
3 nothing found but some answers unknown.`,
		Example: `  kubectl netdoctor check
  kubectl netdoctor check coredns kube-proxy-missing -o wide
  kubectl netdoctor check --from bundle.tar.gz -o json`,
		ValidArgsFunction: completeChecks,
		RunE:              o.run,
	}
	o.addFlags(cmd)
	fs := cmd.Flags()
	fs.StringVarP(&o.output, "output", "o", "text", "how to tell it: "+strings.Join(report.Formats(), ", "))
	fs.StringVar(&o.failOn, "fail-on", "warning", "the least severity that makes the exit code 1: error, warning, info, never")
	fs.StringArrayVar(&o.ignore, "ignore", nil, "leave out findings: CHECK, or CHECK=KIND/NAMESPACE/NAME, with wildcards (repeatable)")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"error", "warning", "info", "never"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("ignore", c.completeIgnore)
	return cmd
}

func (o *checkCommand) run(cmd *cobra.Command, args []string) error {
	list, err := selected(args)
	if err != nil {
		return err
	}
	threshold, err := parseFailOn(o.failOn)
	if err != nil {
		return err
	}
	if !slices.Contains(report.Formats(), o.output) {
		return usage("-o %s: must be one of %s", o.output, strings.Join(report.Formats(), ", "))
	}
	ignored, err := parseIgnore(o.ignore)
	if err != nil {
		return err
	}
	look, err := o.look(cmd.Context(), cmd, list)
	if err != nil {
		return err
	}
	r := report.Report{
		Snapshot: look.Snapshot, Results: look.Results, Bundle: o.from, Captured: o.captured, Given: strings.Join(o.again(), " "),
		Roots: without(roots(look), ignored), Fixes: fixIDs(list), OnNodes: onNodes(list), Layers: layers(),
	}
	style := report.Style{Width: o.env.Width, Color: o.colored()}
	if err := report.Write(o.env.Out, r, o.output, style); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return verdict(r, threshold)
}

func verdict(r report.Report, threshold checks.Severity) error {
	switch {
	case report.Worst(r.Roots) >= threshold:
		return &exit{code: exitFindings}
	case report.Count(r.Results, checks.Unknown) > 0:
		return &exit{code: exitUnknown}
	}
	return nil
}

// selected returns the checks that the arguments name: checks, layers, or all.
func selected(args []string) ([]*checks.Check, error) {
	if len(args) == 0 {
		return all.Checks(), nil
	}
	var out []*checks.Check
	for _, arg := range args {
		found := named(arg)
		if len(found) == 0 {
			return nil, usage("no check and no layer is called %q; kubectl netdoctor explain lists them", arg)
		}
		for _, c := range found {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func named(arg string) []*checks.Check {
	for _, layer := range all.Layers() {
		if layer.Name == arg {
			return layer.Checks
		}
		for _, c := range layer.Checks {
			if c.ID == arg {
				return []*checks.Check{c}
			}
		}
	}
	return nil
}

func parseFailOn(name string) (checks.Severity, error) {
	for _, s := range []checks.Severity{checks.Info, checks.Warning, checks.Error} {
		if s.String() == name {
			return s, nil
		}
	}
	if name == "never" {
		return checks.Error + 1, nil
	}
	return 0, usage("--fail-on %s: must be one of error, warning, info, never", name)
}

// ignorePattern is one value of --ignore.
type ignorePattern struct{ check, object string }

func parseIgnore(values []string) ([]ignorePattern, error) {
	var out []ignorePattern
	for _, v := range values {
		check, object, given := strings.Cut(v, "=")
		if !given {
			object = ""
		} else if strings.Count(object, "/") == 0 {
			return nil, usage("--ignore %s: the object must be KIND/NAME or KIND/NAMESPACE/NAME", v)
		}
		for _, pattern := range []string{check, object} {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, usage("--ignore %s: %w", v, err)
			}
		}
		out = append(out, ignorePattern{check, object})
	}
	return out, nil
}

// without drops what is ignored, with all that it explains.
func without(nodes []*cause.Node, patterns []ignorePattern) []*cause.Node {
	var out []*cause.Node
	for _, n := range nodes {
		if slices.ContainsFunc(patterns, func(p ignorePattern) bool { return p.matches(n) }) {
			continue
		}
		n.Symptoms = without(n.Symptoms, patterns)
		out = append(out, n)
	}
	return out
}

func (p ignorePattern) matches(n *cause.Node) bool {
	check, _ := path.Match(p.check, n.Check.ID)
	object, _ := path.Match(p.object, n.Subject.Path())
	return check && (p.object == "" || object)
}

// layers names all checks by what of the network they are about.
func layers() []report.Layer {
	var out []report.Layer
	for _, l := range all.Layers() {
		out = append(out, report.Layer{Title: l.Title, Checks: l.Checks})
	}
	return out
}

// onNodes tells of which checks every fix changes nodes.
func onNodes(list []*checks.Check) map[string]bool {
	out := map[string]bool{}
	for _, c := range list {
		of := fixes.For(c)
		out[c.ID] = len(of) > 0 && !slices.ContainsFunc(of, func(f *fixes.Fix) bool { return !f.OnNodes })
	}
	return out
}

func fixIDs(list []*checks.Check) map[string][]string {
	out := map[string][]string{}
	for _, c := range list {
		for _, f := range fixes.For(c) {
			out[c.ID] = append(out[c.ID], f.ID)
		}
	}
	return out
}
