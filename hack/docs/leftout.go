package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"sigs.k8s.io/yaml"
)

// leftOutFile is kept by hand.
const leftOutFile = "hack/docs/left-out.yaml"

// leftOut is an id that is reserved for a check that does not exist, or the part of a
// check's question that it does not answer.
type leftOut struct {
	ID      string `json:"id"`
	Reason  string `json:"reason"`  // why nothing answers the question now
	Settles string `json:"settles"` // what would: probe, host, or a source that is not read
	Part    bool   `json:"part"`    // a check has the id, and does not answer this
}

func readLeftOut(name string) ([]leftOut, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []leftOut
	if err := yaml.UnmarshalStrict(text, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// contradictions names what the list of ids without a check gets wrong, a line each.
func contradictions(entries []*entry, left []leftOut) error {
	var errs []error
	for i, l := range left {
		complain := func(what string) {
			errs = append(errs, fmt.Errorf("%s: id %q: %s", leftOutFile, l.ID, what))
		}
		if l.ID == "" || l.Reason == "" || l.Settles == "" {
			complain("id, reason and settles must be set")
		}
		switch known := slices.ContainsFunc(entries, func(e *entry) bool { return e.ID == l.ID }); {
		case known && !l.Part:
			complain("a check has it: take it out, or say part: true")
		case !known && l.Part:
			complain("no check has it, so it cannot be a part of one")
		}
		if l.Part {
			continue
		}
		if slices.ContainsFunc(left[:i], func(before leftOut) bool { return before.ID == l.ID }) {
			complain("stands twice")
		}
	}
	return errors.Join(errs...)
}
