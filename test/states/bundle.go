package states

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// readBundle takes a captured cluster apart.
func readBundle(name string) (*State, error) {
	s := &State{files: map[string][]byte{}}
	if err := EachFile(name, s.takeFile); err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	var manifest facts.Manifest
	if err := json.Unmarshal(s.files["bundle.json"], &manifest); err != nil {
		return nil, fmt.Errorf("base: %s: bundle.json: %w", name, err)
	}
	s.Taken = manifest.Taken
	return s, nil
}

func (s *State) takeFile(name string, data []byte) error {
	if path.Ext(name) != ".json" || name == "bundle.json" || name == "gaps.json" || strings.HasPrefix(name, "_nodes/") || strings.HasPrefix(name, "_probe/") {
		s.files[name] = data
		return nil
	}
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, item := range list.Items {
		if err := s.put(item); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// EachFile hands over every file of a bundle, which is a directory or an archive whose name
// ends in .tar.gz: its path in the bundle, and what it holds. An error of take ends it, and is
// returned as it is.
func EachFile(bundle string, take func(name string, data []byte) error) error {
	if strings.HasSuffix(bundle, ".tar.gz") {
		return eachEntry(bundle, take)
	}
	return eachOf(bundle, take)
}

func eachOf(dir string, take func(name string, data []byte) error) error {
	tree := os.DirFS(dir)
	return fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return take(name, data)
	})
}

func eachEntry(archive string, take func(name string, data []byte) error) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := take(strings.TrimPrefix(path.Clean(h.Name), "./"), data); err != nil {
			return err
		}
	}
}
