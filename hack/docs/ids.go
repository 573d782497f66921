package main

import (
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
)

// idsFile is held against the checks by the test of pkg/checks/all: an id stays for ever.
const idsFile = "pkg/checks/all/testdata/ids.txt"

// ids adds the ids of new checks to those that ever were.
func ids(now string) string {
	list := strings.Fields(now)
	for _, c := range all.Checks() {
		list = append(list, c.ID)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "\n") + "\n"
}
