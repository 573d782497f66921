// Command table renders the results of the suite, which it reads from the file
// that is its argument or from stdin, as a page of the documentation.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/e2e"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) > 0 {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	var results e2e.Results
	if err := json.NewDecoder(in).Decode(&results); err != nil {
		return fmt.Errorf("reading the results: %w", err)
	}
	return results.WriteMarkdown(out)
}
