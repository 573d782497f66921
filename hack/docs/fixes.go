package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// cure is what the page tells of one fix.
type cure struct {
	*fixes.Fix
	effect   *effect
	lab      []proof // the lab's faults that it must cure
	survived string  // "N of N" interruptions, or "" where none was tried
}

// readFixes gathers the page of the fixes from the repository that is the working
// directory, in the order of fixes.All.
func readFixes() ([]*cure, error) {
	effects, err := readEffects("pkg/fixes/testdata/*.txtar", fixes.All())
	if err != nil {
		return nil, err
	}
	lab, err := readProofs("test/lab/faults", labPage)
	if err != nil {
		return nil, err
	}
	survived, err := readSurvived("test/faults/results.txt")
	if err != nil {
		return nil, err
	}
	var out []*cure
	for _, f := range fixes.All() {
		out = append(out, &cure{f, effects[f.ID], lab[f.ID], survived[f.ID]})
	}
	return out, uncured(out)
}

// uncured names what the page could not say of a fix, a line each.
func uncured(list []*cure) error {
	var errs []error
	for _, c := range list {
		lacks := func(is bool, what string) {
			if is {
				errs = append(errs, fmt.Errorf("fix %q: %s", c.ID, what))
			}
		}
		lacks(c.effect == nil || c.effect.plans == 0, "no fixture in pkg/fixes/testdata in which it is offered")
		lacks(c.Risk == 0, "no Risk")
		lacks(strings.TrimSpace(c.Doc) == "", "no Doc")
		lacks(len(c.For) == 0, "no For: it cures no check")
	}
	return errors.Join(errs...)
}

func fixesPage(list []*cure, owners []fixes.Owner) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Fixes")
	fmt.Fprintf(&b, "\nWritten by %s from the fixes and their fixtures. %s prints what a fix does.\n", "`make docs`", "`kubectl netdoctor explain ID`")
	ownersParagraph(&b, owners)
	legend(&b)
	fixesTable(&b, list)
	for _, c := range list {
		fmt.Fprintf(&b, "\n## `%s`\n\n%s. Cures %s. Risk: %s, %s.\n\n%s\n", c.ID, c.Title, c.cures(), c.Risk, riskWords(c.Risk), strings.TrimSpace(c.Doc))
		if c.Cost != "" {
			fmt.Fprintf(&b, "\nCosts: %s\n", c.Cost)
		}
	}
	return b.Bytes()
}

func legend(w io.Writer) {
	fmt.Fprintf(w, `
**Risk** is *harmless* (%s), *restarts* (%s) or
*disrupts* (%s). What it **changes**, and the **rights** that this and undoing it take besides looking, are
those of all its fixtures together: one plan may need less, and %s prints those of a plan by namespace
and name, with those of the journal. **Lab** says which faults of [the lab](LAB.md) it must cure, and what came of it; *not run* where the
last run did not try it. **Interruptions** are connections that are cut, errors of the API server and a user who ends the command: all of them at
each write of a repair and of its undo, some, in turns, at each write of %s; and kills of the command at some writes of all three. One is
survived if the plan is fully applied or fully taken back afterwards, or another %s or %s comes to such an end, and the journal says
which. Where a fix changes nodes, they happen to a stand-in for the nodes, and the process that is killed is one of the tests.

`, riskWords(fixes.Harmless), riskWords(fixes.Restarts), riskWords(fixes.Disrupts), "`kubectl netdoctor fix CHECK -o rbac`",
		"`fix --resume`", "`undo`", "`fix --resume`")
}

func fixesTable(w io.Writer, list []*cure) {
	fmt.Fprint(w, "| Fix | Cures | Risk | Changes | Rights | Costs | Lab | Interruptions survived |\n|---|---|---|---|---|---|---|---|\n")
	for _, c := range list {
		cost := ""
		if c.Cost != "" {
			cost = "`--accept-risk`"
		}
		if c.OnNodes {
			cost = strings.TrimPrefix(cost+", `--allow-node-changes`", ", ")
		}
		fmt.Fprintf(w, "| [`%s`](#%s) | %s | %s | %s | %s | %s | %s | %s |\n", c.ID, anchor(c.ID), c.cures(), c.Risk, c.effect.changed(), c.effect.allowed(),
			cost, labWords(c.lab), cmp.Or(c.survived, "not run"))
	}
}

// cures links the checks whose findings the fix cures.
func (c *cure) cures() string {
	var out []string
	for _, check := range c.For {
		out = append(out, fmt.Sprintf("[`%s`](checks.md#%s)", check.ID, anchor(check.ID)))
	}
	return strings.Join(out, ", ")
}

func riskWords(r fixes.Risk) string {
	switch r {
	case fixes.Harmless:
		return "nothing that works is restarted"
	case fixes.Restarts:
		return "pods of the network are made anew while others serve"
	case fixes.Disrupts:
		return "traffic is interrupted for a moment"
	}
	return r.String()
}

// ownersParagraph says who takes changes back, the same for every fix.
func ownersParagraph(w io.Writer, owners []fixes.Owner) {
	names := func(reverts bool) string {
		var out []string
		for _, o := range owners {
			if o.Reverts == reverts {
				out = append(out, o.Name)
			}
		}
		return strings.Join(slices.Compact(out), ", ")
	}
	fmt.Fprintf(w, `
For every fix, whoever keeps an object is known by the marks that they leave on it, or on the cluster, and the plan says where to make the change
so that it lasts. Some would take it back at once, and the repair is refused without --force: %s. Others take it back at their next
upgrade, and are only named: %s. Where several have left marks, one who takes it back at once is named.
`, names(true), names(false))
}
