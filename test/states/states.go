// Package states reads whole cluster states: the real faults of test/cases and the
// healthy clusters of test/shapes.
//
// A state is a txtar archive. Its first part, state.yaml, says what it is (Meta) and on
// which state it is built; the other parts have the paths of a bundle, and objects.yaml
// may hold objects of any kind. An object that the base has too is a JSON merge patch of
// it (RFC 7396), any other is added; a file replaces the base's. In all parts
// {{ago 90s}} stands for that long before the state was taken.
package states

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	metaFile    = "state.yaml"
	objectsFile = "objects.yaml"
)

// Meta is what a state says of itself.
type Meta struct {
	Title string `json:"title"`

	// Base is the state that this one is built on: the name of a shape, or the path of a
	// captured bundle below test/. Without it the state is whole by itself.
	Base string `json:"base,omitempty"`

	// Delete names what of the base is not there: "Kind/namespace/name", "Kind/name", or
	// the path of a file; a path that ends in / means all below it.
	Delete []string `json:"delete,omitempty"`

	// Case is the number of the real case whose evidence a fault holds.
	Case string `json:"case,omitempty"`

	// Expect names the checks of which one must be that of the first root; a fault that
	// must be silent because neither API nor logs show it has none, and says Why.
	Expect []string `json:"expect,omitempty"`

	// Also names the checks of further roots that are true of the state.
	Also []string `json:"also,omitempty"`

	// Folded names the checks whose findings must stand below a root.
	Folded []string `json:"folded,omitempty"`

	// Depth is the least depth whose facts settle the cause: api, logs, probe or host.
	Depth string `json:"depth,omitempty"`

	// Why says what API and logs lack where Depth is probe or host.
	Why string `json:"why,omitempty"`
}

// State is one whole cluster.
type State struct {
	Name string
	Meta
	Taken time.Time

	objects []object
	files   map[string][]byte
}

type object struct {
	key string
	raw json.RawMessage
}

// Cases returns the faults below the directory test, by name.
func Cases(test string) ([]*State, error) { return readAll(test, "cases") }

// Shapes returns the healthy clusters below the directory test, by name.
func Shapes(test string) ([]*State, error) { return readAll(test, "shapes") }

func readAll(test, kind string) ([]*State, error) {
	names, err := filepath.Glob(filepath.Join(test, kind, "*.txtar"))
	if err != nil {
		return nil, err
	}
	var out []*State
	for _, name := range names {
		s, err := Read(test, name)
		if err != nil {
			return nil, err
		}
		if err := s.valid(kind == "cases"); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no states below %s", filepath.Join(test, kind))
	}
	return out, nil
}

func (s *State) valid(fault bool) error {
	switch {
	case s.Title == "":
		return errors.New("title is missing")
	case !fault && (s.Case != "" || len(s.Expect)+len(s.Also)+len(s.Folded) > 0):
		return errors.New("a healthy cluster expects nothing")
	case !fault:
		return nil
	case s.Case == "":
		return errors.New("case is missing")
	}
	depth, err := facts.ParseDepth(s.Depth)
	switch {
	case err != nil:
		return err
	case depth <= facts.Logs && len(s.Expect) == 0:
		return errors.New("expect is missing, and depth says that API or logs settle it")
	case depth > facts.Logs && s.Why == "":
		return errors.New("why is missing: what do API and logs lack")
	}
	return nil
}

// Read reads one state with all that it is built on.
func Read(test, name string) (*State, error) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		return nil, err
	}
	s := &State{Name: strings.TrimSuffix(filepath.Base(name), ".txtar")}
	if len(archive.Files) == 0 || archive.Files[0].Name != metaFile {
		return nil, fmt.Errorf("%s: the first part must be %s", name, metaFile)
	}
	if err := yaml.UnmarshalStrict(archive.Files[0].Data, &s.Meta); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, metaFile, err)
	}
	if err := s.build(test, archive.Files[1:]); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *State) build(test string, parts []txtar.File) error {
	base, err := readBase(test, s.Base)
	if err != nil {
		return err
	}
	s.Taken, s.objects, s.files = base.Taken, base.objects, base.files
	for _, what := range s.Delete {
		if !s.remove(what) {
			return fmt.Errorf("delete: the base has no %s", what)
		}
	}
	for _, part := range parts {
		data, err := s.timed(part.Data)
		if err == nil && part.Name == objectsFile {
			err = s.overlay(data)
		} else if err == nil {
			s.files[part.Name] = data
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.Name, err)
		}
	}
	return nil
}

// remove takes an object or files away, and tells whether there was any.
func (s *State) remove(what string) bool {
	before := len(s.objects) + len(s.files)
	s.objects = slices.DeleteFunc(s.objects, func(o object) bool { return o.key == what })
	for name := range s.files {
		if name == what || strings.HasSuffix(what, "/") && strings.HasPrefix(name, what) {
			delete(s.files, name)
		}
	}
	return len(s.objects)+len(s.files) < before
}

var agoMark = regexp.MustCompile(`\{\{ago ([0-9a-z.]+)\}\}`)

func (s *State) timed(text []byte) ([]byte, error) {
	var bad error
	out := agoMark.ReplaceAllFunc(text, func(mark []byte) []byte {
		d, err := time.ParseDuration(string(agoMark.FindSubmatch(mark)[1]))
		if err != nil {
			bad = err
		}
		return []byte(s.Taken.Add(-d).UTC().Format(time.RFC3339))
	})
	return out, bad
}

func (s *State) overlay(text []byte) error { return facts.Documents(bytes.NewReader(text), s.put) }

// put patches the object of the same name, or adds one.
func (s *State) put(raw json.RawMessage) error {
	key, err := keyOf(raw)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.objects, func(o object) bool { return o.key == key })
	if i < 0 {
		s.objects = append(s.objects, object{key, raw})
		return nil
	}
	merged, err := jsonpatch.MergePatch(s.objects[i].raw, raw)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	s.objects[i].raw = merged
	return nil
}

func keyOf(raw json.RawMessage) (string, error) {
	var meta struct {
		Kind     string
		Metadata struct{ Namespace, Name string }
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		return "", err
	}
	if meta.Kind == "" || meta.Metadata.Name == "" {
		return "", fmt.Errorf("kind or metadata.name is missing in %.60s", raw)
	}
	if meta.Metadata.Namespace == "" {
		return meta.Kind + "/" + meta.Metadata.Name, nil
	}
	return meta.Kind + "/" + meta.Metadata.Namespace + "/" + meta.Metadata.Name, nil
}

// Files returns the state as the files of a bundle.
func (s *State) Files() []facts.File {
	var objects bytes.Buffer
	for _, o := range s.objects {
		objects.WriteString("---\n")
		objects.Write(o.raw)
		objects.WriteByte('\n')
	}
	out := []facts.File{{Name: objectsFile, Data: objects.Bytes()}}
	for name, data := range s.files {
		out = append(out, facts.File{Name: name, Data: data})
	}
	slices.SortFunc(out[1:], func(a, b facts.File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Objects returns the state's API objects as JSON, in the order in which they were given.
func (s *State) Objects() []json.RawMessage {
	out := make([]json.RawMessage, 0, len(s.objects))
	for _, o := range s.objects {
		out = append(out, o.raw)
	}
	return out
}

// Snapshot returns what check would know of the cluster.
func (s *State) Snapshot() (*facts.Snapshot, error) {
	snapshot, err := facts.LoadFiles(s.Files())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return snapshot, nil
}

// unmarked is when a state without bundle.json was taken, as facts.LoadFiles has it.
var unmarked = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func readBase(test, name string) (*State, error) {
	switch {
	case name == "":
		return &State{Taken: unmarked, files: map[string][]byte{}}, nil
	case strings.Contains(name, "/"):
		return readBundle(filepath.Join(test, name))
	}
	path := filepath.Join(test, "shapes", name+".txtar")
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	return Read(test, path)
}
