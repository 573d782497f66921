// Command docs writes what follows from the checks and fixes themselves, so that it
// cannot differ: docs/checks.md, docs/fixes.md, and the list of all ids that ever were,
// to which new ones are added. With -check it only compares.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

func main() {
	check := flag.Bool("check", false, "only tell whether the pages are up to date")
	flag.Parse()
	pages := map[string][]byte{"docs/checks.md": checksPage(), "docs/fixes.md": fixesPage(), idsFile: ids()}
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
	known, err := os.ReadFile(idsFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
	list := strings.Fields(string(known))
	for _, c := range all.Checks() {
		list = append(list, c.ID)
	}
	slices.Sort(list)
	return []byte(strings.Join(slices.Compact(list), "\n") + "\n")
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
