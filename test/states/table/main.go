// Command table prints what check says of every whole cluster state, or, with names of
// states, the report of each. It fails where a state is not told as it should be.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
	"github.com/kubectl-netdoctor/netdoctor/test/states"
)

func main() {
	test := flag.String("test", "test", "the directory of cases and shapes")
	page := flag.String("write", "", "write the tables to this file too")
	flag.Parse()
	if err := run(os.Stdout, *test, *page, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, test, page string, names []string) error {
	if len(names) > 0 {
		return show(out, test, names)
	}
	cases, err := judged(states.Cases(test))
	if err != nil {
		return err
	}
	shapes, err := judged(states.Shapes(test))
	if err != nil {
		return err
	}
	var text strings.Builder
	named, settled := states.Page(&text, cases, shapes)
	fmt.Fprint(out, text.String())
	if page != "" {
		if err := os.WriteFile(page, []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	return summary(append(cases, shapes...), named, settled)
}

// least is the share of settled faults that must be named first, in percent.
const least = 95

func summary(all []*states.Verdict, named, settled int) error {
	var wrong []string
	for _, v := range all {
		if len(v.Wrongs) > 0 {
			wrong = append(wrong, v.Name+": "+strings.Join(v.Wrongs, "; "))
		}
	}
	switch {
	case len(wrong) > 0:
		return errors.New(strings.Join(wrong, "\n"))
	case named*100 < settled*least:
		return fmt.Errorf("%d of %d faults are named, fewer than %d%%", named, settled, least)
	}
	return nil
}

func judged(list []*states.State, err error) ([]*states.Verdict, error) {
	if err != nil {
		return nil, err
	}
	var out []*states.Verdict
	for _, s := range list {
		v, err := states.Judge(s)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// show prints the report of each named state, and what is wrong with it.
func show(out io.Writer, test string, names []string) error {
	var wrong []string
	for _, name := range names {
		path, err := find(test, name)
		if err != nil {
			return err
		}
		all, err := judged(one(states.Read(test, path)))
		if err != nil {
			return err
		}
		v := all[0]
		r := report.Report{Snapshot: v.Snapshot, Results: v.Results, Roots: v.Roots, Bundle: name}
		if err := report.Write(out, r, "text", report.Style{Width: 100}); err != nil {
			return err
		}
		for _, w := range v.Wrongs {
			wrong = append(wrong, name+": "+w)
		}
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}

func one(s *states.State, err error) ([]*states.State, error) { return []*states.State{s}, err }

func find(test, name string) (string, error) {
	for _, kind := range []string{"cases", "shapes"} {
		found, err := filepath.Glob(filepath.Join(test, kind, name+".txtar"))
		if err != nil || len(found) == 1 {
			return filepath.Join(test, kind, name+".txtar"), err
		}
	}
	return "", fmt.Errorf("no state is called %s", name)
}
