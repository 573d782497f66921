// Command docs writes what follows from the checks and fixes themselves, so that it
// cannot differ: docs/checks.md, docs/fixes.md, the output of commands in README.md, and
// the list of all ids that ever were, to which new ones are added. With -check it only
// compares.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/cmd"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

func main() {
	check := flag.Bool("check", false, "only tell whether the pages are up to date")
	flag.Parse()
	pages := map[string][]byte{"docs/checks.md": checksPage(), "docs/fixes.md": fixesPage(), "README.md": readme(), idsFile: ids()}
	for name, want := range pages {
		if err := settle(name, want, *check); err != nil {
			fmt.Fprintln(os.Stderr, "docs:", err)
			os.Exit(1)
		}
	}
}

// idsFile is held against the checks by the test of pkg/checks/all: an id stays for ever.
const idsFile = "pkg/checks/all/testdata/ids.txt"

func ids() []byte {
	list := strings.Fields(read(idsFile))
	for _, c := range all.Checks() {
		list = append(list, c.ID)
	}
	slices.Sort(list)
	return []byte(strings.Join(slices.Compact(list), "\n") + "\n")
}

func read(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
	return string(text)
}

// readme puts what a command prints now below it, in each block whose first line is
// "$ kubectl netdoctor …".
func readme() []byte {
	const fence, prompt = "```", "\n$ kubectl netdoctor "
	parts := strings.Split(read("README.md"), fence)
	for i := 1; i < len(parts); i += 2 {
		line, _, _ := strings.Cut(strings.TrimPrefix(parts[i], "\n"), "\n")
		if !strings.HasPrefix(parts[i], prompt) {
			continue
		}
		var out bytes.Buffer
		env := cmd.Env{
			IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: os.Stderr},
			Now:       time.Now, Getenv: func(string) string { return "" }, Width: 80,
		}
		cmd.Run(context.Background(), strings.Fields(strings.TrimPrefix("\n"+line, prompt)), env)
		parts[i] = "\n" + line + "\n" + out.String()
	}
	return []byte(strings.Join(parts, fence))
}

func settle(name string, want []byte, check bool) error {
	if !check {
		return os.WriteFile(name, want, 0o644)
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("%s is not up to date: run go run ./hack/docs", name)
	}
	return nil
}

func checksPage() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Checks")
	fmt.Fprintln(&b, "\nWritten by `go run ./hack/docs` from the checks. `kubectl netdoctor explain ID` prints the same.")
	for _, l := range all.Layers() {
		fmt.Fprintf(&b, "\n## %s (`%s`)\n", l.Title, l.Name)
		for _, c := range l.Checks {
			fmt.Fprintf(&b, "\n### `%s` (%s)\n\nHealthy: %s.\n\n%s\n", c.ID, c.Severity, strings.TrimSuffix(c.Title, "."), strings.TrimSpace(c.Doc))
			var reads, explains []string
			for _, s := range c.Needs {
				reads = append(reads, s.Name)
			}
			for _, s := range c.MayUse {
				reads = append(reads, s.Name+" (if they can be read)")
			}
			for _, e := range c.Explains {
				explains = append(explains, "`"+e.ID+"`")
			}
			fmt.Fprintf(&b, "\nReads: %s.", strings.Join(reads, ", "))
			if len(explains) > 0 {
				fmt.Fprintf(&b, " Explains: %s.", strings.Join(explains, ", "))
			}
			fmt.Fprintf(&b, "\n\n```\n%s\n```\n", strings.Join(c.ByHand, "\n"))
			if c.URL != "" {
				fmt.Fprintf(&b, "\nSee <%s>.\n", c.URL)
			}
		}
	}
	return b.Bytes()
}

func fixesPage() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Fixes")
	fmt.Fprintln(&b, "\nWritten by `go run ./hack/docs` from the fixes. `kubectl netdoctor explain ID` prints the same.")
	for _, f := range fixes.All() {
		var cures []string
		for _, c := range f.For {
			cures = append(cures, "`"+c.ID+"`")
		}
		fmt.Fprintf(&b, "\n## `%s`\n\n%s. Cures %s.\n\n%s\n", f.ID, f.Title, strings.Join(cures, ", "), strings.TrimSpace(f.Doc))
		if f.Cost != "" {
			fmt.Fprintf(&b, "\nCosts: %s\n", f.Cost)
		}
	}
	return b.Bytes()
}
