// Package seeds reads what real clusters hold from the captured states of the repository,
// for fuzz targets to start from. It reads them without the packages that are fuzzed.
package seeds

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Bundle holds the files of a captured cluster by their names in it.
type Bundle map[string][]byte

// Open reads a captured cluster by its path in the repository: a directory or a .tar.gz.
func Open(t testing.TB, name string) Bundle {
	t.Helper()
	b, err := open(filepath.Join(root(t), name))
	if err != nil {
		t.Fatalf("reading the captured cluster %s: %v", name, err)
	}
	return b
}

// All reads every captured cluster, in a fixed order.
func All(t testing.TB) []Bundle {
	t.Helper()
	var out []Bundle
	for _, pattern := range []string{"test/clusters/lab/*.tar.gz", "test/clusters/*/bundle.json", "examples/*/bundle.json"} {
		found, err := filepath.Glob(filepath.Join(root(t), pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no captured cluster is at %s: %v", pattern, err)
		}
		for _, name := range found {
			b, err := open(strings.TrimSuffix(name, "/bundle.json"))
			if err != nil {
				t.Fatalf("reading the captured cluster %s: %v", name, err)
			}
			out = append(out, b)
		}
	}
	return out
}

// Files returns the contents of the captured files whose names match, each content once
// and none that is empty.
func Files(t testing.TB, match func(name string) bool) [][]byte {
	t.Helper()
	var out [][]byte
	for _, b := range All(t) {
		for name, data := range b {
			if len(data) > 0 && match(name) {
				out = append(out, data)
			}
		}
	}
	slices.SortFunc(out, bytes.Compare)
	out = slices.CompactFunc(out, bytes.Equal)
	if len(out) == 0 {
		t.Fatal("no captured file has such a name")
	}
	return out
}

// Values returns what the captured ConfigMaps hold under a key, each value once.
func Values(t testing.TB, key string) []string {
	t.Helper()
	var out []string
	for _, b := range All(t) {
		for name, data := range b {
			if filepath.Base(name) != "configmaps.json" {
				continue
			}
			var list struct {
				Items []struct{ Data map[string]string }
			}
			if err := json.Unmarshal(data, &list); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, item := range list.Items {
				if value, found := item.Data[key]; found {
					out = append(out, value)
				}
			}
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		t.Fatalf("no captured ConfigMap has the key %s", key)
	}
	return slices.Compact(out)
}

// root is the directory of go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod in this directory or above it")
		}
		dir = up
	}
}

func open(name string) (Bundle, error) {
	if strings.HasSuffix(name, ".tar.gz") {
		return unpack(name)
	}
	b := Bundle{}
	return b, filepath.WalkDir(name, func(file string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		in, err := filepath.Rel(name, file)
		if err == nil {
			b[filepath.ToSlash(in)], err = os.ReadFile(file)
		}
		return err
	})
}

func unpack(name string) (Bundle, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	b := Bundle{}
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err == nil {
			b[h.Name], err = io.ReadAll(archive)
		}
		if err != nil {
			return nil, err
		}
	}
}
