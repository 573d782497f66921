package fixes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// corefileBackup is where kubeadm keeps the Corefile from before an upgrade (k8s.io/kubernetes
// cmd/kubeadm/app/phases/addons/dns).
const corefileBackup = "Corefile-backup"

// corefileInForce is how long a correct Corefile takes until a running server has read it: the
// kubelet writes it into the pod in up to a minute and a half, the plugin reload looks
// every 30 to 45 seconds (coredns plugin/reload).
const corefileInForce = 150 * time.Second

const correctDoc = `Changes the one thing that is wrong, where that is certain: a brace that is missing or one too many, if there is only one place
that makes sense of the blocks; a misspelt directive or option, if only one is meant; a line that begins with a word which this CoreDNS does not know. All
else stays as it is. Where the slip is not of that kind, it brings back the text that kubeadm kept under Corefile-backup before the last
upgrade, if CoreDNS can start with that and it serves the zone of the present one.

It does not guess: two places that would do, an argument that a plugin refuses, a zone that is served twice, an error in an
imported file are told and left to a person. A line that is taken out is told, too: what it was meant for is not done. One that may keep somebody out, such as a plugin firewall
of another build, goes only with --accept-risk.`

// CorefileRestore corrects a Corefile with which CoreDNS does not start, or brings the
// last good one back.
var CorefileRestore = &Fix{
	ID:     "corefile-restore-last-good",
	Title:  "Correct the Corefile's slip, or bring back the one from before the upgrade",
	For:    []*checks.Check{coredns.CorefileError},
	Risk:   Harmless,
	Settle: 5 * time.Second,
	Plan:   planCorefileRestore,
	Doc:    correctDoc + "\n\nPods that crash are deleted, so that they start with it at once; servers that run are not touched.",
}

// CorefileReload corrects a Corefile that running servers have refused.
var CorefileReload = &Fix{
	ID:     "corefile-reload",
	Title:  "Correct the Corefile that CoreDNS refused, and see it in force",
	For:    []*checks.Check{coredns.ReloadFailed},
	Risk:   Harmless,
	Settle: corefileInForce,
	Plan:   planCorefileRestore,
	Doc:    correctDoc + "\n\nThe servers go on with what they have until they read it, which takes up to two and a half minutes; none is restarted.",
}

var errRemoved = errors.New("it has a word that was removed from CoreDNS; --with corefile-migrate writes what replaced it")

func planCorefileRestore(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	cm, text, err := corefileSubject(s, f)
	if err != nil {
		return Plan{}, err
	}
	edited, warnings, err := correctCorefile(f, text, params)
	if errors.Is(err, errRemoved) {
		return Plan{}, inConfigMap(cm, err)
	}
	if err != nil {
		kept := cm.Data[corefileBackup]
		if why := unfitBackup(s, f, cm, kept); why != "" {
			return Plan{}, inConfigMap(cm, fmt.Errorf("%w; %s", err, why))
		}
		edited, warnings = kept, []string{"It is the Corefile from before the last upgrade, kept by kubeadm: what was changed since is not in it. The diff shows all of that."}
	}
	plan, err := corefilePlan(s, f, cm, edited)
	plan.Warnings = append(warnings, plan.Warnings...)
	return plan, err
}

// correctCorefile returns the text without the one slip in it, and what that takes away.
func correctCorefile(f checks.Finding, text string, params Params) (edited string, warnings []string, err error) {
	line, unknown, option := coredns.Told(f)
	file, syntax := corefile.Parse(text)
	if syntax != nil || !corefile.Plausible(lessDirective(file, unknown)) { // a brace in the wrong place is often no error of grammar
		if edited, err = corefile.CorrectBrace(text); err == nil {
			return edited, nil, nil
		}
	}
	switch {
	case syntax != nil:
		return "", nil, fmt.Errorf("%w: %w", syntax, err)
	case len((&corefile.Directive{Name: unknown}).Removed()) > 0, unknown == "" && hasRemoved(file):
		return "", nil, errRemoved
	case option != "":
		edited, err = optionRight(text, line, option)
		return edited, nil, err
	case unknown == "":
		return "", nil, errors.New("no single line can be taken out or corrected for certain")
	}
	return unknownOut(text, line, unknown, params)
}

// lessDirective returns a Corefile less the directives of a name, to judge the rest.
func lessDirective(file *corefile.File, name string) *corefile.File {
	out := &corefile.File{Imports: file.Imports}
	for _, b := range file.Blocks {
		rest := *b
		rest.Directives = slices.DeleteFunc(slices.Clone(b.Directives), func(d *corefile.Directive) bool { return d.Name == name })
		out.Blocks = append(out.Blocks, &rest)
	}
	return out
}

// unknownOut corrects the name of a directive that no plugin has, or takes it out.
func unknownOut(text string, line int, name string, params Params) (edited string, warnings []string, err error) {
	edited, err = editedCorefile(text, func(e *corefile.Editor) error {
		var found []*corefile.Directive
		var in *corefile.Block
		for _, b := range e.File.Blocks {
			for _, d := range b.Find(name) {
				found, in = append(found, d), b
			}
		}
		if len(found) != 1 || found[0].Line != line {
			return fmt.Errorf("CoreDNS refused %s in line %d, and the text says it elsewhere, or more than once, by now", name, line)
		}
		d := found[0]
		meant := meantWord(name, slices.DeleteFunc(corefile.Directives(), func(known string) bool { return len(in.Find(known)) > 0 }))
		switch {
		case meant != "":
			return e.SetName(d, meant)
		case len(in.Directives) == 1:
			return fmt.Errorf("line %d: without %s the block would do nothing", line, name)
		case guards(name) && !params.AcceptRisk:
			return fmt.Errorf("line %d: %s may be what protects the servers; --accept-risk takes it out", line, name)
		}
		warnings = []string{fmt.Sprintf("Line %d, %q, is taken out: this CoreDNS has no plugin of that name. What it was meant for is not done.", line, lineOf(d))}
		return e.Remove(d)
	})
	return edited, warnings, err
}

// optionRight corrects the name of an option that its plugin does not have.
func optionRight(text string, line int, name string) (string, error) {
	return editedCorefile(text, func(e *corefile.Editor) error {
		for _, b := range e.File.Blocks {
			for _, d := range b.Directives {
				for _, o := range d.Find(name) {
					if o.Line != line {
						continue
					}
					meant := meantWord(name, slices.DeleteFunc(corefile.Options(d.Name), func(known string) bool { return len(d.Find(known)) > 0 }))
					if meant == "" {
						return fmt.Errorf("line %d: %s has no option %s, and which one is meant is not certain", line, d.Name, name)
					}
					return e.SetName(o, meant)
				}
			}
		}
		return fmt.Errorf("CoreDNS refused %s in line %d, where the text has something else by now", name, line)
	})
}

// guards tells whether a plugin may be there to keep somebody out, by its name.
func guards(name string) bool {
	return slices.ContainsFunc([]string{"acl", "allow", "block", "deny", "filter", "wall", "guard", "limit", "opa", "polic", "rrl", "sec", "sign", "tls"},
		func(word string) bool { return strings.Contains(strings.ToLower(name), word) })
}

// meantWord returns the only one of some words from which a name differs by one slip, or "".
func meantWord(name string, words []string) string {
	meant := ""
	for _, word := range words {
		if !oneSlip(name, word) {
			continue
		}
		if meant != "" {
			return ""
		}
		meant = word
	}
	return meant
}

// oneSlip reports whether one word becomes the other by one letter more, less or other, or
// by two letters that change places.
func oneSlip(a, b string) bool {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	switch len(a) - len(b) {
	case 1:
		return a[1:] == b
	case -1:
		return a == b[1:]
	case 0:
		return a != "" && (a[1:] == b[1:] || len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:])
	}
	return false
}

// unfitBackup says why the kept Corefile cannot take the place of the present one, or "".
func unfitBackup(s *facts.Snapshot, f checks.Finding, cm *corev1.ConfigMap, kept string) string {
	if kept == "" {
		return "kubeadm kept no earlier one under " + corefileBackup + "; write it by hand: kubectl -n " + checks.ShellWord(cm.Namespace) + " edit configmap " + checks.ShellWord(cm.Name)
	}
	file, err := corefile.Parse(kept)
	if err != nil || !corefile.Plausible(file) {
		return "nor can CoreDNS start with the one under " + corefileBackup
	}
	runs := coredns.Oldest(s, f.Subject)
	for _, b := range file.Blocks {
		for _, d := range b.Directives {
			for _, r := range d.Removed() {
				if runs == nil || coredns.Reached(runs, r.Since) {
					return fmt.Sprintf("the one under %s has %s, which CoreDNS %s removed", corefileBackup, strings.TrimSpace(r.Directive+" "+r.Option), r.Since)
				}
			}
		}
	}
	domain := coredns.KubeletDomain(s)
	if domain == "" || !slices.ContainsFunc(file.Blocks, func(b *corefile.Block) bool { return servesZone(b, domain) }) {
		return "whether the one under " + corefileBackup + " serves the cluster's domain is not known, or it does not"
	}
	return ""
}

func hasRemoved(file *corefile.File) bool {
	return slices.ContainsFunc(file.Blocks, func(b *corefile.Block) bool {
		return slices.ContainsFunc(b.Directives, func(d *corefile.Directive) bool { return len(d.Removed()) > 0 })
	})
}
