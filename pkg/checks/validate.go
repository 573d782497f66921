package checks

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

var idForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Validate proves a list of checks well-formed: complete, unique, and explaining only
// checks that are in the list, without a circle.
func Validate(list []*Check) error {
	var errs []error
	seen := map[string]bool{}
	for _, c := range list {
		complain := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("check %q: %s", c.ID, fmt.Sprintf(format, args...)))
		}
		switch {
		case !idForm.MatchString(c.ID):
			complain("the id must be lower-case words joined by hyphens")
		case seen[c.ID]:
			complain("the id stands twice in the list")
		}
		seen[c.ID] = true
		if c.Title == "" || c.Doc == "" || c.Severity == 0 || len(c.Needs) == 0 || c.Run == nil {
			complain("Title, Doc, Severity, Needs and Run must be set")
		}
		if len(c.ByHand) == 0 {
			complain("ByHand must name the commands that show the same")
		}
		for _, e := range c.Explains {
			if !slices.Contains(list, e) {
				complain("explains %q, which is not in the list", e.ID)
			}
		}
		if explains(c, c, nil) {
			complain("explains itself")
		}
	}
	return errors.Join(errs...)
}

func explains(from, to *Check, path []*Check) bool {
	if slices.Contains(path, from) {
		return false
	}
	for _, next := range from.Explains {
		if next == to || explains(next, to, append(path, from)) {
			return true
		}
	}
	return false
}
