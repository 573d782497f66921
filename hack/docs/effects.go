package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// effect is what a fix does in all fixtures in which it is offered.
type effect struct {
	plans              int
	kinds              map[string][]string // of the objects, by what is done to them
	verbs              map[string][]string // that must be allowed, by resource
	restarts, rollouts bool
	onNodes            bool // settings of nodes are changed
}

// repairFixture is a cluster as package fixtest has them, and the fixes that its want part
// says are offered.
type repairFixture struct {
	files   []facts.File
	params  fixes.Params
	offered []*fixes.Fix
}

// readEffects plans over the fixtures. One in which all that is told of is refused is not
// even loaded.
func readEffects(pattern string, list []*fixes.Fix) (map[string]*effect, error) {
	out := map[string]*effect{}
	for _, f := range list {
		out[f.ID] = &effect{kinds: map[string][]string{}, verbs: map[string][]string{}}
	}
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f, err := readRepairFixture(name, list)
		if err == nil && len(f.offered) > 0 {
			err = f.plan(out)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return out, nil
}

func readRepairFixture(name string, list []*fixes.Fix) (f repairFixture, err error) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		return f, err
	}
	f.offered = offeredIn(wanted(archive), list)
	for _, file := range archive.Files {
		switch file.Name {
		case "want":
		case "base":
			base, err := readRepairFixture(filepath.Join(filepath.Dir(name), "base", strings.TrimSpace(string(file.Data))+".txtar"), nil)
			if err != nil {
				return f, err
			}
			f.files = append(base.files, f.files...)
		case "params":
			if err := json.Unmarshal(file.Data, &f.params); err != nil {
				return f, fmt.Errorf("params: %w", err)
			}
		default:
			f.files = append(f.files, facts.File{Name: file.Name, Data: file.Data})
		}
	}
	return f, nil
}

// offeredIn returns the fixes of which a line "ID SUBJECT" is not followed by an error.
func offeredIn(want []string, list []*fixes.Fix) []*fixes.Fix {
	var out []*fixes.Fix
	for i, line := range want {
		id, _, _ := strings.Cut(line, " ")
		k := slices.IndexFunc(list, func(f *fixes.Fix) bool { return f.ID == id })
		refused := i+1 < len(want) && strings.HasPrefix(want[i+1], "error: ")
		if k >= 0 && !refused && !slices.Contains(out, list[k]) {
			out = append(out, list[k])
		}
	}
	return out
}

func (f repairFixture) plan(out map[string]*effect) error {
	s, err := facts.LoadFiles(f.files)
	if err != nil {
		return err
	}
	for _, fix := range f.offered {
		for _, r := range checks.Run(s, fix.For) {
			for _, finding := range r.Findings {
				plan, err := fixes.Offer(s, fix, finding, f.params)
				if err != nil {
					continue
				}
				if err := out[fix.ID].add(plan); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (e *effect) add(plan fixes.Plan) error {
	rights, err := apply.Rights(plan, nil, nil)
	if err != nil {
		return err
	}
	e.plans++
	for _, c := range plan.Changes {
		if fixes.IsSetting(c.Object()) {
			e.onNodes = true
			continue
		}
		note(e.kinds, deed(c), c.Ref().Kind)
	}
	for _, r := range rights {
		if !r.Optional {
			note(e.verbs, r.Resource, r.Verb)
		}
	}
	e.restarts = e.restarts || len(plan.Restarts) > 0
	e.rollouts = e.rollouts || len(plan.Rollouts) > 0
	return nil
}

func deed(c fixes.Change) string {
	switch {
	case c.Before == nil:
		return "create"
	case c.After == nil:
		return "delete"
	}
	return "change"
}

// note adds a word to a sorted list, once.
func note(in map[string][]string, key, word string) {
	if at, known := slices.BinarySearch(in[key], word); !known {
		in[key] = slices.Insert(in[key], at, word)
	}
}

// changed says what is done to which kinds of objects.
func (e *effect) changed() string {
	var out []string
	for _, deed := range slices.Sorted(maps.Keys(e.kinds)) {
		out = append(out, deed+" "+strings.Join(e.kinds[deed], ", "))
	}
	if e.onNodes {
		out = append(out, "settings of nodes, which are no objects: `-o yaml`, `patch` and `kustomize` do not apply")
	}
	if e.restarts {
		out = append(out, "pods deleted")
	}
	if e.rollouts {
		out = append(out, "rollout")
	}
	return strings.Join(out, "; ")
}

// allowed says what must be allowed, the resources with the same verbs together.
func (e *effect) allowed() string {
	resources := map[string][]string{}
	for resource, verbs := range e.verbs {
		note(resources, strings.Join(verbs, ", "), resource)
	}
	var out []string
	for _, verbs := range slices.Sorted(maps.Keys(resources)) {
		out = append(out, verbs+" "+strings.Join(resources[verbs], ", "))
	}
	if e.onNodes {
		out = append(out, "those of a look at `--depth host` (`kubectl netdoctor rbac --depth host`)")
	}
	return strings.Join(out, "; ")
}
