// Command docs writes what follows from the checks and fixes themselves, so that it
// cannot differ: docs/checks.md with docs/graph.svg, docs/fixes.md, docs/depths.md, the output of commands
// in README.md, the words that capture --anonymize leaves as they are, and the list of all ids
// that ever were, to which new ones are added. With -check it only compares. It fails where the reference would have a hole: a check
// without fixtures, rights or documentation, a fix without a fixture in which it is
// offered, without a risk, documentation or a check.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/hack/docs/vocabulary"
)

func main() {
	check := flag.Bool("check", false, "only tell whether the pages are up to date")
	flag.Parse()
	if err := run(*check); err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprint(os.Stderr, "docs: ", line)
		}
		fmt.Fprintln(os.Stderr)
		os.Exit(1)
	}
}

func run(check bool) error {
	pages, err := generate()
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		err = errors.Join(err, settle(name, pages[name], check))
	}
	return err
}

// generate returns the content of every file that is written, by its path from the root
// of the repository, where it must be called. Where the reference has a hole it returns
// the others: a check that is half made keeps nobody from noting the id of another.
func generate() (map[string][]byte, error) {
	pages := map[string][]byte{}
	for name, write := range map[string]func(now string) string{"README.md": readme, idsFile: ids} {
		now, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		pages[name] = []byte(write(string(now)))
	}
	ref, err := readReference()
	if err == nil {
		pages["docs/checks.md"] = checksPage(ref)
		pages["docs/graph.svg"] = drawing(layOut(ref.entries))
	}
	cures, hole := readFixes()
	owners, unknown := readOwners()
	if hole == nil && unknown == nil {
		pages["docs/fixes.md"] = fixesPage(cures, owners)
	}
	notes, untold := readDepths()
	if untold == nil {
		pages["docs/depths.md"] = depthsPage(notes)
	}
	lists, unread := vocabulary.Lists()
	maps.Copy(pages, lists)
	return pages, errors.Join(err, hole, unknown, untold, unread)
}

func settle(name string, want []byte, check bool) error {
	got, err := os.ReadFile(name)
	if err == nil && bytes.Equal(got, want) {
		return nil
	}
	if check {
		return fmt.Errorf("%s is not up to date: make docs writes it anew", name)
	}
	return os.WriteFile(name, want, 0o644)
}
