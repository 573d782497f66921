package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

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
