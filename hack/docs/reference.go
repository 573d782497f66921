package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// reference is everything that the page of the checks tells.
type reference struct {
	layers  []all.Layer
	entries []*entry // in the order of the layers
	left    []leftOut
}

// entry is what the page tells of one check.
type entry struct {
	*checks.Check
	layer all.Layer
	*shown
	causes []*checks.Check // what explains it
}

// readReference gathers the reference from the repository that is the working directory.
func readReference() (*reference, error) {
	layers := all.Layers()
	show, err := readFixtures("pkg/checks/*/testdata/*.txtar", all.Checks())
	if err != nil {
		return nil, err
	}
	if err := readRoots("test/clusters/lab/roots.txt", show); err != nil {
		return nil, err
	}
	if err := readNamed(labPage, show); err != nil {
		return nil, err
	}
	left, err := readLeftOut(leftOutFile)
	if err != nil {
		return nil, err
	}
	entries := enter(layers, show)
	return &reference{layers, entries, left}, errors.Join(holes(entries), contradictions(entries, left))
}

func enter(layers []all.Layer, show map[string]*shown) []*entry {
	var out []*entry
	causes := map[*checks.Check][]*checks.Check{}
	for _, l := range layers {
		for _, c := range l.Checks {
			out = append(out, &entry{Check: c, layer: l, shown: show[c.ID]})
			for _, symptom := range c.Explains {
				causes[symptom] = append(causes[symptom], c)
			}
		}
	}
	for _, e := range out {
		e.causes = causes[e.Check]
	}
	return out
}

// holes names what the page could not say of a check, a line each.
func holes(entries []*entry) error {
	var errs []error
	for _, e := range entries {
		for _, hole := range e.holes(entries) {
			errs = append(errs, fmt.Errorf("check %q: %s", e.ID, hole))
		}
	}
	return errors.Join(errs...)
}

func (e *entry) holes(entries []*entry) []string {
	var out []string
	lacks := func(is bool, what string) {
		if is {
			out = append(out, what)
		}
	}
	lacks(e.Title == "", "no title")
	lacks(e.Severity == 0, "no severity")
	lacks(e.URL == "", "no documentation URL")
	lacks(len(e.failed) == 0, fmt.Sprintf("no fixture of a sick cluster (a want line %q)", e.ID+" failed …"))
	lacks(len(e.ok) == 0, fmt.Sprintf("no fixture of a healthy cluster (a want line %q)", e.ID+" ok"))
	for _, src := range closed(slices.Concat(e.Needs, e.MayUse, e.parts)) {
		lacks(right(src) == "", fmt.Sprintf("no rights: gather.Rules does not know what reading %s takes", src))
	}
	for _, symptom := range e.Explains {
		known := slices.ContainsFunc(entries, func(other *entry) bool { return other.Check == symptom })
		lacks(!known, fmt.Sprintf("explains %q, which is not on the page", symptom.ID))
	}
	return out
}

// asked is the depth from which on the check is asked at all.
func (e *entry) asked() facts.Depth { return deepest(e.Needs) }

// depth is the depth that the check needs for every answer.
func (e *entry) depth() facts.Depth { return max(e.asked(), deepest(e.parts)) }

func deepest(sources []*facts.Source) facts.Depth {
	d := facts.API
	for _, src := range sources {
		d = max(d, src.Depth)
	}
	return d
}
