package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CorefileUnshadow lets the cluster's names come past template and hosts.
var CorefileUnshadow = &Fix{
	ID:     "corefile-unshadow",
	Title:  "Let the cluster's names reach the plugin kubernetes",
	For:    []*checks.Check{coredns.NameShadowed},
	Risk:   Harmless,
	Settle: 5 * time.Second,
	Plan:   planCorefileUnshadow,
	Doc: `Changes each directive of the Corefile that keeps the cluster's names for itself, as little as will do; the rest of the text stays as it is:

- hosts that answers SERVFAIL, and a template whose ` + "`match`" + ` does not fit, get ` + "`fallthrough`" + ` as their last option. Where they have it for
  other zones, the cluster's is added to these.
- a template for AAAA alone that means the names says ` + "`rcode NOERROR`" + ` from then on, so that no name counts as absent for want of an IPv6 address.
- any other template that means the names is taken out, and quoted, if it means all that its block serves, so that no other plugin there is asked,
  or stands for the cluster's zone alone, so that nothing else is lost with it.

A template that means only some of the cluster's names, or others as well and not all, may be there to block or to redirect those: it is taken
out with --accept-risk alone. It is refused where the directive is in a snippet, where a template for AAAA has an answer that would begin to
count, and where something else in the Corefile keeps CoreDNS from starting. What is in files that the Corefile imports is neither judged nor
changed.`,
}

func planCorefileUnshadow(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	cm, text, err := corefileSubject(s, f)
	if err != nil {
		return Plan{}, err
	}
	if err := starts(s, f); err != nil {
		return Plan{}, err
	}
	if braceRight(text) != "" {
		return Plan{}, inConfigMap(cm, fmt.Errorf("a brace in it is misplaced, so that its blocks end where they should not; cure %s first", coredns.ZoneMismatch.ID))
	}
	var warnings []string
	edited, err := editedCorefile(text, func(e *corefile.Editor) error {
		warnings, err = unshadow(e, params)
		return err
	})
	if err == nil {
		err = unshadowed(edited)
	}
	if err != nil {
		return Plan{}, inConfigMap(cm, err)
	}
	plan, err := corefilePlan(s, f, cm, edited)
	plan.Warnings = append(warnings, plan.Warnings...)
	return plan, err
}

// unshadow changes every directive that takes the cluster's names, and tells what is lost.
func unshadow(e *corefile.Editor, params Params) (warnings []string, err error) {
	all := coredns.Shadows(e.File)
	if len(all) == 0 {
		return nil, errors.New("nothing in it takes the cluster's names")
	}
	for i, sh := range all {
		again := slices.ContainsFunc(all[:i], func(other coredns.Shadow) bool { return other.Directive == sh.Directive })
		falls := sh.Directive.Find("fallthrough")
		if !sh.Means && !again && len(sh.Directive.Find("expr")) > 0 {
			warnings = append(warnings, fmt.Sprintf("%s still answers those whom its expr fits.", lineOf(sh.Directive)))
		}
		switch {
		case !sh.Means && len(falls) > 0:
			err = e.AddArg(falls[len(falls)-1], sh.Zone)
		case again: // done with, for another of the zones
		case !sh.Means:
			err = e.AddOption(sh.Directive, "fallthrough")
		case sh.IPv6:
			err = noError(e, sh.Directive)
		default:
			warnings = append(warnings, fmt.Sprintf("Taken out: %s. The plugins behind it are asked for what it answered; if some of that was meant, write it anew for those names alone.", whole(sh.Directive)))
			err = takeOut(e, sh, params)
		}
		if err != nil {
			return nil, err
		}
	}
	return warnings, nil
}

// noError lets a template say that a name has no address, and not that there is no such name.
func noError(e *corefile.Editor, d *corefile.Directive) error {
	if len(d.Find("answer")) > 0 {
		return fmt.Errorf("line %d: %s has an answer that would count with NOERROR; correct it by hand", d.Line, lineOf(d))
	}
	return e.SetArg(coredns.Rcode(d), 0, "NOERROR")
}

// takeOut removes a template where all is known that goes with it.
func takeOut(e *corefile.Editor, sh coredns.Shadow, params Params) error {
	d := sh.Directive
	switch {
	case params.AcceptRisk:
	case !sh.WholeCluster():
		return fmt.Errorf("line %d: %s means some of the cluster's names and not all, perhaps on purpose; --accept-risk takes it out", d.Line, lineOf(d))
	case !sh.WholeBlock():
		return fmt.Errorf("line %d: %s may mean names outside of %s, which without it would be asked elsewhere; narrow it by hand, or --accept-risk takes it out", d.Line, lineOf(d), sh.Zone)
	}
	return e.Remove(d)
}

// whole writes a directive with its options in one line.
func whole(d *corefile.Directive) string {
	if len(d.Options) == 0 {
		return lineOf(d)
	}
	var options []string
	for _, o := range d.Options {
		options = append(options, lineOf(o))
	}
	return lineOf(d) + " { " + strings.Join(options, "; ") + " }"
}

// unshadowed refuses an edited Corefile in which something takes the names yet.
func unshadowed(edited string) error {
	file, err := corefile.Parse(edited)
	if err != nil {
		return err
	}
	if all := coredns.Shadows(file); len(all) > 0 {
		return fmt.Errorf("%s would take names of %s even then: %s; correct it by hand", lineOf(all[0].Directive), all[0].Zone, all[0].Answer)
	}
	return nil
}
