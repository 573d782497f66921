package fixes

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CorefileMigrate writes what CoreDNS has removed in the way that replaced it.
var CorefileMigrate = &Fix{
	ID:     "corefile-migrate",
	Title:  "Replace what CoreDNS has removed from the Corefile",
	For:    []*checks.Check{coredns.CorefileError, coredns.CorefileRemoved},
	Risk:   Harmless,
	Settle: 5 * time.Second,
	Plan:   planCorefileMigrate,
	Doc: `Writes ` + "`forward` for `proxy`" + ` (gone since CoreDNS 1.5.0), takes out ` + "`federation`, and `upstream` and `resyncperiod`" + ` of the plugin
kubernetes (1.7.0), and makes ` + "`transfer to`" + ` inside kubernetes, file, auto and secondary the plugin ` + "`transfer`" + ` (1.8.0). Only those lines are
changed; comments elsewhere, the order and the indentation stay. Of the options of ` + "`proxy`" + `, except, max_fails and the policies that
forward has are kept, and what it has no word for is taken out and told. Crashing pods are deleted, so that they start with it at once.

It does not bring back what a plugin did that is gone for good: names of a federation. It is refused where the running release does not
have the replacement yet, where a proxy speaks another protocol than DNS, and where the line is in a snippet.`,
}

func planCorefileMigrate(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	cm, text, err := corefileSubject(s, f)
	if err != nil {
		return Plan{}, err
	}
	m := migration{runs: coredns.Oldest(s, f.Subject)}
	edited, err := editedCorefile(text, func(e *corefile.Editor) error { m.Editor = e; return m.all() })
	if _, malformed := errors.AsType[*corefile.SyntaxError](err); malformed {
		err = fmt.Errorf("%w; %s", err, otherSlip)
	}
	if err != nil {
		return Plan{}, inConfigMap(cm, err)
	}
	plan, err := corefilePlan(s, f, cm, edited)
	plan.Warnings = append(m.warnings, plan.Warnings...)
	return plan, err
}

// otherSlip ends a refusal where another fix of the same finding is meant.
const otherSlip = "--with corefile-restore-last-good corrects a slip of another kind"

// migration is the edit of one Corefile.
type migration struct {
	*corefile.Editor
	runs     []int // the oldest release that reads it, nil where it is not known
	warnings []string
}

func (m *migration) warn(format string, args ...any) {
	m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
}

func (m *migration) all() error {
	found := false
	for _, b := range m.File.Blocks {
		for _, d := range b.Directives {
			removed := d.Removed()
			if len(removed) == 0 {
				continue
			}
			found = true
			if err := m.directive(b, d, removed); err != nil {
				return err
			}
		}
	}
	if !found {
		return errors.New("it has nothing that CoreDNS removed; " + otherSlip)
	}
	return nil
}

func (m *migration) directive(b *corefile.Block, d *corefile.Directive, removed []corefile.Removal) error {
	switch d.Name {
	case "proxy":
		return m.proxy(b, d)
	case "federation":
		if !coredns.Reached(m.runs, "1.7.0") {
			m.warn("The running CoreDNS still answers names of the federation; it stops doing so with this.")
		}
		return m.Remove(d)
	}
	for _, r := range removed {
		for _, o := range d.Find(r.Option) {
			if o.Line != r.Line {
				continue
			}
			if err := m.option(b, d, o); err != nil {
				return err
			}
		}
	}
	return m.transfer(b, d)
}

// option takes out one that has lost its effect: upstream and resyncperiod did so in 1.5
// (notes of CoreDNS 1.5.0 and 1.5.2).
func (m *migration) option(_ *corefile.Block, d, o *corefile.Directive) error {
	if o.Name != "transfer" && m.runs != nil && !coredns.Reached(m.runs, "1.5.2") {
		return fmt.Errorf("line %d: %s of %s still has an effect in the CoreDNS that runs; take it out together with the upgrade", o.Line, o.Name, d.Name)
	}
	return m.Remove(o)
}

// recipients returns who may transfer the zones of a directive, as lines for the plugin
// transfer.
func (m *migration) recipients(d *corefile.Directive) ([]string, error) {
	var to []string
	for _, o := range d.Find("transfer") {
		switch {
		case len(o.Args) > 1 && o.Args[0] == "to":
			if err := plainWords(o.Line, o.Args[1:]); err != nil {
				return nil, err
			}
			to = append(to, strings.TrimSpace("to "+strings.Join(o.Args[1:], " ")+" "+m.Comment(o)))
		case d.Name != "secondary":
			return nil, fmt.Errorf("line %d: %s says nothing that the plugin transfer could do", o.Line, lineOf(o))
		}
	}
	return to, nil
}

func plainWords(line int, words []string) error {
	for _, word := range words {
		if !corefile.Word(word) {
			return fmt.Errorf("line %d: %q is not written as a plain word", line, word)
		}
	}
	return nil
}

// transfer adds the plugin for the options of the same name that were taken out.
func (m *migration) transfer(b *corefile.Block, d *corefile.Directive) error {
	to, err := m.recipients(d)
	if err != nil || len(to) == 0 {
		return err
	}
	if m.runs == nil || !coredns.Reached(m.runs, "1.8.0") {
		return fmt.Errorf("line %d: the plugin transfer came with CoreDNS 1.8.0, and an older one, or one of unknown version, runs here: write it with the upgrade", d.Line)
	}
	if len(b.Find("transfer")) > 0 {
		return fmt.Errorf("line %d: the block has a plugin transfer already; add to it who may transfer the zones of %s", d.Line, d.Name)
	}
	zones := d.Args
	if d.Name == "file" {
		zones = zones[min(len(zones), 1):]
	}
	if err := plainWords(d.Line, zones); err != nil {
		return err
	}
	lines := []string{strings.Join(append([]string{"transfer"}, zones...), " ") + " {"}
	for _, line := range to {
		lines = append(lines, "\t"+line)
	}
	return m.AddAfter(d, append(lines, "}")...)
}

// proxy writes forward, which is as old as CoreDNS 1.0.6 and takes several of its kind in a
// block since 1.9.4 (notes of these releases).
func (m *migration) proxy(b *corefile.Block, d *corefile.Directive) error {
	switch {
	case m.runs != nil && !coredns.Reached(m.runs, "1.0.6"):
		return fmt.Errorf("line %d: the CoreDNS that runs has no forward yet; write it with the upgrade", d.Line)
	case len(d.Args) < 2:
		return fmt.Errorf("line %d: %s names no server", d.Line, lineOf(d))
	case len(d.Args)-1 > corefile.MaxUpstreams:
		return fmt.Errorf("line %d: %d servers are more than the %d that forward takes", d.Line, len(d.Args)-1, corefile.MaxUpstreams)
	case len(b.Find("proxy"))+len(b.Find("forward")) > 1 && !coredns.Reached(m.runs, "1.9.4"):
		return fmt.Errorf("line %d: before CoreDNS 1.9.4 a block can have one forward, and this one has more to forward: give each zone a block of its own", d.Line)
	}
	for _, o := range d.Options {
		if err := m.proxyOption(o); err != nil {
			return err
		}
	}
	return m.SetName(d, "forward")
}

// proxyOption keeps what forward can do, too (coredns 1.4.0 plugin/proxy/upstream.go, 1.5.0
// plugin/forward/setup.go).
func (m *migration) proxyOption(o *corefile.Directive) error {
	said := strings.Join(o.Args, " ")
	switch o.Name {
	case "except", "max_fails":
		return nil
	case "policy":
		switch said {
		case "random", "round_robin":
			return nil
		case "first":
			return m.SetArg(o, 0, "sequential")
		}
	case "protocol":
		switch said {
		case "dns":
			return m.Remove(o)
		case "dns force_tcp":
			return m.forceTCP(o)
		}
		return fmt.Errorf("line %d: forward does not speak %s; the plugin grpc, or forward to tls://, may be what is meant", o.Line, said)
	case "fail_timeout", "health_check", "keepalive", "spray":
	default:
		return fmt.Errorf("line %d: %s is no option that proxy had", o.Line, o.Name)
	}
	m.warn("Line %d: %q has no counterpart in forward and is taken out; forward looks after its servers by itself.", o.Line, lineOf(o))
	return m.Remove(o)
}

func (m *migration) forceTCP(o *corefile.Directive) error {
	if err := m.SetName(o, "force_tcp"); err != nil {
		return err
	}
	return m.DropArgs(o)
}
