package all_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
)

func TestValid(t *testing.T) {
	if err := checks.Validate(all.Checks()); err != nil {
		t.Error(err)
	}
}

// Ids are for ever: people ignore them, search for them and write them into alerts.
func TestIDs(t *testing.T) {
	const file = "testdata/ids.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	released := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i, id := range released[1:] {
		if before := released[i]; before >= id {
			t.Errorf("%s: %q stands behind %q: keep it sorted, each id once (LC_ALL=C sort -u)", file, id, before)
		}
	}
	var present []string
	for _, c := range all.Checks() {
		present = append(present, c.ID)
		if !slices.Contains(released, c.ID) {
			t.Errorf("check %q is new: make docs notes it in pkg/checks/all/%s", c.ID, file)
		}
	}
	for _, id := range released {
		if !slices.Contains(present, id) {
			t.Errorf("check %q was released and is gone: its id must stay, whatever becomes of its code", id)
		}
	}
}

// A layer's name and a check's id are given in the same place of the command line, and
// both must mean one thing.
func TestLayerNames(t *testing.T) {
	taken := map[string]string{}
	claim := func(name, what string) {
		if before := taken[name]; before != "" {
			t.Errorf("%q names %s and %s", name, before, what)
		}
		taken[name] = what
	}
	for _, l := range all.Layers() {
		claim(l.Name, "the layer "+l.Title)
		if l.Name == "" || l.Title == "" || len(l.Checks) == 0 {
			t.Errorf("layer %q: Name, Title and Checks must be set", l.Name)
		}
		for _, c := range l.Checks {
			claim(c.ID, "the check "+c.Title)
		}
	}
}

func TestChecksFollowLayers(t *testing.T) {
	var want []*checks.Check
	for _, l := range all.Layers() {
		want = append(want, l.Checks...)
	}
	if !slices.Equal(all.Checks(), want) {
		t.Error("Checks does not list the layers' checks in their order")
	}
}
