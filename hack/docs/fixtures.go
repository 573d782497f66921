package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// shown is what the fixtures and captured clusters show of one check.
type shown struct {
	dir                 string   // where its fixtures are
	failed, ok, unknown []string // the fixtures in which it is that
	states              []string // states of the lab that it is the root of
	parts               []*facts.Source
}

// readFixtures looks through all fixtures of checks, by the id that their lines begin
// with. Which sources a check's Parts name, only clusters show: each fixture that names the
// check is one.
func readFixtures(pattern string, list []*checks.Check) (map[string]*shown, error) {
	out := map[string]*shown{}
	for _, c := range list {
		out[c.ID] = &shown{}
	}
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			return nil, err
		}
		told := notes(name, wanted(archive), out)
		told = slices.DeleteFunc(told, func(id string) bool { return !hasParts(list, id) })
		if len(told) == 0 {
			continue
		}
		s, err := snapshot(archive)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, c := range list {
			if slices.Contains(told, c.ID) {
				out[c.ID].parts = append(out[c.ID].parts, partsIn(s, c)...)
			}
		}
	}
	return out, nil
}

func hasParts(list []*checks.Check, id string) bool {
	return slices.ContainsFunc(list, func(c *checks.Check) bool { return c.ID == id && c.Parts != nil })
}

// notes notes a fixture's answers, and returns the ids of the checks that gave them.
func notes(name string, lines []string, out map[string]*shown) []string {
	var told []string
	base := strings.TrimSuffix(filepath.Base(name), ".txtar")
	add := func(list []string) []string {
		if slices.Contains(list, base) {
			return list
		}
		return append(list, base)
	}
	for _, line := range lines {
		id, rest, _ := strings.Cut(line, " ")
		s := out[id]
		if s == nil {
			continue
		}
		s.dir = path.Dir(filepath.ToSlash(name))
		told = append(told, id)
		switch status, _, _ := strings.Cut(rest, " "); strings.TrimSuffix(status, ":") {
		case checks.Failed.String():
			s.failed = add(s.failed)
		case checks.OK.String():
			s.ok = add(s.ok)
		case checks.Unknown.String():
			s.unknown = add(s.unknown)
		}
	}
	return told
}

// wanted returns the lines that say what the checks must answer.
func wanted(archive *txtar.Archive) []string {
	var out []string
	for _, f := range archive.Files {
		if f.Name != "want" {
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

func snapshot(archive *txtar.Archive) (*facts.Snapshot, error) {
	var files []facts.File
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, facts.File{Name: f.Name, Data: f.Data})
		}
	}
	return facts.LoadFiles(files)
}

// partsIn returns the sources that a check's Parts name in a cluster of which it is asked.
func partsIn(s *facts.Snapshot, c *checks.Check) []*facts.Source {
	if slices.ContainsFunc(c.Needs, func(src *facts.Source) bool { return s.Missing(src) != "" }) {
		return nil
	}
	if c.When != nil && c.When(s) != "" {
		return nil
	}
	var out []*facts.Source
	for _, p := range c.Parts(s) {
		if !slices.Contains(out, p.Source) {
			out = append(out, p.Source)
		}
	}
	return out
}

// readRoots notes of which states each check is the root. The file has a line per state:
// "state: id (severity), id (severity)".
func readRoots(name string, out map[string]*shown) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		state, roots, _ := strings.Cut(strings.TrimSpace(line), ":")
		for root := range strings.SplitSeq(roots, ",") {
			id, _, _ := strings.Cut(strings.TrimSpace(root), " ")
			if id == "" {
				continue
			}
			s := out[id]
			if s == nil {
				return fmt.Errorf("%s: the root of %s is %q, which is no check", name, state, id)
			}
			s.states = append(s.states, state)
		}
	}
	return nil
}
