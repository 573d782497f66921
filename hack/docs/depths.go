package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

// depthsFile is kept by hand: what each source costs, and what attackers can do.
const depthsFile = "hack/docs/depths.yaml"

// depthsNotes is what depthsFile holds.
type depthsNotes struct {
	Sources []struct{ Name, Read, Cost string } `json:"sources"`
	Changes []string                            `json:"changes"`
	Threats []threat                            `json:"threats"`
}

// threat is something that an attacker may try, what comes of it, and the tests that prove
// that.
type threat struct {
	Who   string   `json:"who"`
	Tries string   `json:"tries"`
	Gets  string   `json:"gets"`
	Tests []string `json:"tests"` // DIRECTORY TestName
}

func readDepths() (depthsNotes, error) {
	var notes depthsNotes
	text, err := os.ReadFile(depthsFile)
	if err == nil {
		err = yaml.UnmarshalStrict(text, &notes)
	}
	if err != nil {
		return notes, fmt.Errorf("%s: %w", depthsFile, err)
	}
	return notes, errors.Join(sourcesTold(notes), testsThere(notes))
}

// sourcesTold names the sources of which nothing is said, or too much.
func sourcesTold(notes depthsNotes) error {
	var errs []error
	for _, src := range facts.Sources() {
		if src.Object() {
			continue
		}
		n := 0
		for _, s := range notes.Sources {
			if s.Name == src.Name && s.Read != "" && s.Cost != "" {
				n++
			}
		}
		if n != 1 {
			errs = append(errs, fmt.Errorf("%s: source %q must stand there once, with read and cost", depthsFile, src.Name))
		}
	}
	return errors.Join(errs...)
}

// testsThere names the tests that threats name and nobody has written.
func testsThere(notes depthsNotes) error {
	var errs []error
	for _, th := range notes.Threats {
		if th.Who == "" || th.Tries == "" || th.Gets == "" || len(th.Tests) == 0 {
			errs = append(errs, fmt.Errorf("%s: a threat needs who, tries, gets and tests: %q", depthsFile, th.Tries))
		}
		for _, test := range th.Tests {
			dir, name, _ := strings.Cut(test, " ")
			if !hasTest(dir, name) {
				errs = append(errs, fmt.Errorf("%s: there is no test %s", depthsFile, test))
			}
		}
	}
	return errors.Join(errs...)
}

func hasTest(dir, name string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Contains(text, []byte("func "+name+"("))
	})
}

// depthsPage writes docs/depths.md.
func depthsPage(notes depthsNotes) []byte {
	var b bytes.Buffer
	b.WriteString(`# How deep to look

Written by ` + "`make docs`" + ` from the sources, from what the pods read, and from hack/docs/depths.yaml.

` + "`check --depth`" + ` says how deep the doctor may look: ` + "`api < logs < probe < host`" + `, each with those before it. The default is ` + "`logs`" + `: nothing is started in
the cluster. ` + "`probe`" + ` and ` + "`host`" + ` start pods from [the image of the release](../README.md), in a namespace ` + "`" + probe.Namespace + "`" + ` that is made for it and gone
afterwards, also after Ctrl-C. A pod lives for two and a half minutes at most, whatever becomes of the doctor; what a kill leaves, a namespace without
pods, a Service, and the copy of a pull secret if there was one, ` + "`kubectl netdoctor cleanup`" + ` removes. ` + "`kubectl netdoctor rbac --depth D`" + ` prints the least rights, and what you may not do is told before anything is made.

| Depth | Source | What is read | Rights | Cost |
|---|---|---|---|---|
`)
	var objects []string
	for _, src := range facts.Sources() {
		if src.Object() {
			objects = append(objects, "`"+src.Name+"`")
		}
	}
	fmt.Fprintf(&b, "| `api` | objects | %s | list of each; get `configmaps` by name | one list each, served from the API server's cache |\n", strings.Join(objects, ", "))
	for _, src := range facts.Sources() {
		for _, s := range notes.Sources {
			if s.Name == src.Name {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", src.Depth, src.Name, s.Read, right(src), s.Cost)
			}
		}
	}
	b.WriteString("\n## Rights in the namespace of the pods\n\n| Resource | Verbs |\n|---|---|\n")
	for _, rule := range probe.HomeRules() {
		name := rule.Resources[0]
		if len(rule.ResourceNames) > 0 {
			name += " " + strings.Join(rule.ResourceNames, ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, strings.Join(rule.Verbs, ", "))
	}
	b.WriteString("\n## What a pod reads of its node at `--depth host`\n\nNothing else is opened. Secrets are cut out on the node, before anything is sent.\n\n| Path | Why |\n|---|---|\n")
	for _, r := range agent.Reads() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Pattern, r.Why)
	}
	b.WriteString("\n## What a pod changes on a node with `fix --allow-node-changes`\n\n")
	for _, line := range notes.Changes {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n## What an attacker can and cannot do to you\n\n| Who | Tries | What comes of it | Proof |\n|---|---|---|---|\n")
	for _, th := range notes.Threats {
		var tests []string
		for _, t := range th.Tests {
			tests = append(tests, "`"+t+"`")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", th.Who, th.Tries, th.Gets, strings.Join(tests, ", "))
	}
	return b.Bytes()
}
