package faults

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write results.txt")

const results = "results.txt"

// write holds the table against results.txt, or writes it there.
func write(t *testing.T, table []*count) {
	t.Helper()
	slices.SortFunc(table, func(a, b *count) int { return strings.Compare(a.fix, b.fix) })
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIX\tSTATE\tWRITES\tFAULTS\tRESUMED\tKILLS\tSURVIVED")
	var all count
	for _, n := range table {
		fix := n.fix
		if n.onNodes {
			fix += " *"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", fix, n.state, n)
		all.writes, all.tried, all.resumed = all.writes+n.writes, all.tried+n.tried, all.resumed+n.resumed
		all.kills, all.kept = all.kills+n.kills, all.kept+n.kept
	}
	fmt.Fprintf(w, "%d fixes\t\t%s\n", len(table), &all)
	if slices.ContainsFunc(table, func(n *count) bool { return n.onNodes }) {
		fmt.Fprint(w, "\n* It changes nodes. Here their settings are a stand-in's, to which the same faults happen, and what is killed is a process\n"+
			"that does with package apply what the command does, which would look at nodes by pods.\n")
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	switch {
	case *every:
		return // there are more of them
	case *update:
		if err := os.WriteFile(results, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(results)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("%s is out of date; go test ./test/faults -update writes it (-there +now):\n%s", results, diff)
	}
}

// String returns the columns of numbers.
func (n *count) String() string {
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d of %d", n.writes, n.tried, n.resumed, n.kills, n.kept, n.tried+n.resumed+n.kills)
}
