package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
)

// checksPage writes the reference of the checks.
func checksPage(ref *reference) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Checks

Written by %s from the checks and their fixtures. %s prints what a check means without the rest.

- [All checks](#all-checks)
- [What explains what](#what-explains-what)
- [Depth and rights](#depth-and-rights)
`, "`make docs`", "`kubectl netdoctor explain ID`")
	for _, l := range ref.layers {
		fmt.Fprintf(&b, "- [%s](#%s)\n", l.Title, anchor(layerHeading(l.Title, l.Name)))
	}
	fmt.Fprintf(&b, "- [%s](#%s)\n", leftOutHeading, anchor(leftOutHeading))
	summary(&b, ref.entries)
	picture(&b)
	preface(&b)
	for _, l := range ref.layers {
		fmt.Fprintf(&b, "\n## %s\n", layerHeading(l.Title, l.Name))
		for _, e := range ref.entries {
			if e.layer.Name == l.Name {
				section(&b, e)
			}
		}
	}
	leftOutSection(&b, ref.left)
	return b.Bytes()
}

func layerHeading(title, name string) string { return fmt.Sprintf("%s (`%s`)", title, name) }

// anchor is the name that a heading gets on the page: letters, digits and hyphens of it.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

func summary(w io.Writer, entries []*entry) {
	fmt.Fprintf(w, `
## All checks

%d checks. Fixtures are counted as failed/ok/unknown; a state of [the lab](LAB.md) is a real cluster that was broken in a known way.

| Layer | Check | True of a healthy cluster | Severity | Depth | Fixtures | Lab |
|---|---|---|---|---|---|---|
`, len(entries))
	for _, e := range entries {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | `%s` | %d/%d/%d | %d |\n", e.layer.Name, link(e.Check), plain(strings.TrimSuffix(e.Title, ".")),
			e.Severity, e.depth(), len(e.failed), len(e.ok), len(e.unknown), len(e.states))
	}
}

// plain escapes what would end a table's cell or begin markup of HTML.
func plain(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", "|", `\|`, "\n", " ").Replace(text)
}

func link(c *checks.Check) string { return fmt.Sprintf("[`%s`](#%s)", c.ID, anchor(c.ID)) }

func links(list []*checks.Check) string {
	var out []string
	for _, c := range list {
		out = append(out, link(c))
	}
	return cmp.Or(strings.Join(out, ", "), "nothing")
}

func picture(w io.Writer) {
	fmt.Fprint(w, `
## What explains what

A finding explains another one where their checks are joined here and the objects that they name are the same, or stand on each
other. What nothing explains is a root, and is reported first. Opened by itself, the picture also tells the title of each box and
the causes of each track.

[![The graph of causes: each check, and the checks that it explains](graph.svg)](graph.svg)
`)
}

// preface says once what the lines below each check mean.
func preface(w io.Writer) {
	fmt.Fprintf(w, `
## Depth and rights

**Severity** is that of the findings, unless one says otherwise. **Depth** is what --depth must be for a whole answer: %[1]s, %[2]s,
%[3]s or %[4]s. A check that is asked from a lesser depth on may find something there; where it does not, its answer may be unknown.

**Rights** are what a check cannot answer without. What it must also see **before ok** is missing only from the answer that nothing
is wrong, and what it is **sharpened by** may be forbidden. Beyond this, the version of the API server is asked for, which every
user may by default. %[5]s prints the ClusterRole for one check.

- **In the system namespaces**: %[6]s. Where they hold no DNS server, the resource is listed in all namespaces instead.
- **In all namespaces**: with --namespace, in that one and the system namespaces.
- Without a word on namespaces, a resource is listed that has none.
- **ConfigMaps by name**: %[7]s; and, which no role can name beforehand, those that the pods of the network stack mount.
- **%[8]s of the network stack**: of the pods of network plugins, of CoreDNS and of kube-proxy, or of a sample where they are many.
- **%[9]s of the DNS servers**: their ports 8181 (/ready) and 9153 (/metrics).
- **%[10]s**: the configuration of the kubelets (/configz), or of a sample of them. This right also reaches a kubelet's exec endpoint.
- **%[11]s of the DNS servers**: questions to their port 53, of ten of them. This right reaches every port of every pod, and may well be withheld.
`, facts.API, facts.Logs, facts.Probe, facts.Host, "`kubectl netdoctor rbac CHECK`", quoted(facts.SystemNamespaces()), quoted(gather.WellKnownConfigMaps()),
		"`pods/log`", "`pods/proxy`", "`nodes/proxy`", "`pods/portforward`")
}

func quoted(names []string) string {
	var out []string
	for _, name := range names {
		out = append(out, "`"+name+"`")
	}
	return strings.Join(out, ", ")
}

func section(w io.Writer, e *entry) {
	fmt.Fprintf(w, "\n### `%s`\n\nHealthy: %s.\n\n%s\n\n", e.ID, plain(strings.TrimSuffix(e.Title, ".")), prose(e.Doc))
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(w, "- **%s**: %s\n", what, text)
		}
	}
	line("Severity", e.Severity.String())
	line("Depth", depthOf(e))
	line("Rights", rights(closed(e.Needs)))
	line("Before ok", rights(beyond(e.Needs, e.parts)))
	line("Sharpened by", rightsByDepth(beyond(slices.Concat(e.Needs, e.parts), e.MayUse)))
	line("If read for another check", sourceNames(e.IfRead))
	line("Explains", links(e.Explains))
	line("Explained by", links(e.causes))
	line("Fixtures", fixturesOf(e))
	line("Root in the lab", quoted(e.states))
	fmt.Fprintf(w, "\n```\n%s\n```\n\nSee <%s>.\n", strings.Join(e.ByHand, "\n"), e.URL)
}

var tag = regexp.MustCompile(`<([a-zA-Z/!][^:>]*)>`)

// prose keeps Markdown, and makes text of what would be a tag of HTML in it.
func prose(doc string) string {
	parts := strings.Split(strings.TrimSpace(doc), "`")
	for i := 0; i < len(parts); i += 2 { // the others are code
		parts[i] = tag.ReplaceAllString(parts[i], "&lt;$1&gt;")
	}
	return strings.Join(parts, "`")
}

func depthOf(e *entry) string {
	if e.asked() == e.depth() {
		return "`" + e.depth().String() + "`"
	}
	return fmt.Sprintf("`%s`; asked from `%s` on", e.depth(), e.asked())
}

func sourceNames(sources []*facts.Source) string {
	var out []string
	for _, src := range sources {
		out = append(out, src.String())
	}
	return strings.Join(out, ", ")
}

func fixturesOf(e *entry) string {
	var out []string
	for _, s := range []struct {
		status checks.Status
		names  []string
	}{{checks.Failed, e.failed}, {checks.OK, e.ok}, {checks.Unknown, e.unknown}} {
		if len(s.names) > 0 {
			out = append(out, fmt.Sprintf("%d %s (%s)", len(s.names), s.status, strings.Join(s.names, ", ")))
		}
	}
	return strings.Join(out, "; ") + ", of `" + e.dir + "`"
}

const leftOutHeading = "What is not looked at"

func leftOutSection(w io.Writer, left []leftOut) {
	sorted := slices.SortedStableFunc(slices.Values(left), func(a, b leftOut) int { return cmp.Compare(a.ID, b.ID) })
	fmt.Fprintf(w, `
## %s

Ids that are reserved for faults which nothing that is read now tells apart.

| Id | Why there is no check | What would settle it |
|---|---|---|
`, leftOutHeading)
	for _, l := range sorted {
		if !l.Part {
			fmt.Fprintf(w, "| `%s` | %s | %s |\n", l.ID, plain(l.Reason), plain(l.Settles))
		}
	}
	fmt.Fprint(w, `
What checks do not see of their own question, because no fact that is read shows it for certain:

| Check | What it does not see | What would settle it |
|---|---|---|
`)
	for _, l := range sorted {
		if l.Part {
			fmt.Fprintf(w, "| [%s](#%s) | %s | %s |\n", l.ID, anchor(l.ID), plain(l.Reason), plain(l.Settles))
		}
	}
}
