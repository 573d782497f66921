// Package anonymity holds what "capture --anonymize" promises against every cluster state of
// the repository: the same findings, and no name.
package anonymity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/states"
)

// State is a cluster as a bundle holds it.
type State struct {
	Name  string
	Files []facts.File
}

// All returns every state below the repository's root: the fixtures of checks, the real cases,
// the healthy shapes and the captured clusters.
func All(root string) ([]State, error) {
	var out []State
	for _, read := range []func(string) ([]State, error){fixtures, built, captured} {
		more, err := read(root)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func fixtures(root string) ([]State, error) {
	names, err := filepath.Glob(filepath.Join(root, "pkg/checks/*/testdata/*.txtar"))
	if err != nil {
		return nil, err
	}
	var out []State
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			return nil, err
		}
		s := State{Name: strings.TrimPrefix(name, root+"/")}
		for _, f := range archive.Files {
			if f.Name != "want" {
				s.Files = append(s.Files, facts.File{Name: f.Name, Data: f.Data})
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func built(root string) ([]State, error) {
	var out []State
	for _, read := range []func(string) ([]*states.State, error){states.Cases, states.Shapes} {
		all, err := read(filepath.Join(root, "test"))
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			out = append(out, State{Name: "test/" + s.Name, Files: s.Files()})
		}
	}
	return out, nil
}

func captured(root string) ([]State, error) {
	var out []State
	for _, pattern := range []string{"test/clusters/*/bundle.json", "test/clusters/*/*.tar.gz", "examples/*/bundle.json"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if path.Base(name) == "bundle.json" {
				name = filepath.Dir(name)
			}
			s := State{Name: strings.TrimPrefix(name, root+"/")}
			err := states.EachFile(name, func(file string, data []byte) error {
				s.Files = append(s.Files, facts.File{Name: file, Data: data})
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// Capture returns the files that capture would write of a state.
func Capture(s State) ([]facts.Entry, error) {
	snapshot, err := facts.LoadFiles(s.Files)
	if err != nil {
		return nil, err
	}
	record := new(facts.Recorder)
	for _, f := range s.Files {
		src := listed(f.Name)
		if f.Name != "objects.yaml" && src == nil {
			continue
		}
		err := facts.Documents(bytes.NewReader(f.Data), func(raw json.RawMessage) error { return keep(record, src, raw) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return record.Entries(snapshot)
}

// listed returns the source whose objects a file lists, or nil.
func listed(name string) *facts.Source {
	if strings.Count(name, "/") > 1 || strings.HasPrefix(name, "_") {
		return nil
	}
	return source(func(src *facts.Source) bool { return src.Name+".json" == path.Base(name) })
}

func source(fits func(*facts.Source) bool) *facts.Source {
	all := facts.Sources()
	if i := slices.IndexFunc(all, func(src *facts.Source) bool { return src.Object() && fits(src) }); i >= 0 {
		return all[i]
	}
	return nil
}

func keep(record *facts.Recorder, src *facts.Source, raw json.RawMessage) error {
	var list struct {
		Kind  string
		Items []json.RawMessage
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	if list.Items != nil || strings.HasSuffix(list.Kind, "List") {
		for _, item := range list.Items {
			if err := keep(record, src, item); err != nil {
				return err
			}
		}
		return nil
	}
	if list.Kind != "" {
		src = source(func(s *facts.Source) bool { return s.Kind == list.Kind })
	}
	if src == nil {
		return fmt.Errorf("no source holds a %q", list.Kind)
	}
	obj := facts.New(src)
	if err := json.Unmarshal(raw, obj); err != nil {
		return err
	}
	return record.Record(src, obj)
}
