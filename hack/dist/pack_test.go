package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// packs makes an archive of files that are new, which their user reads with this mode.
func packs(t *testing.T, archive string, zone *time.Location, mode fs.FileMode) []byte {
	t.Helper()
	dir := t.TempDir()
	files := []packed{{"doctor", "", 0o755}, {"LICENSE", "", 0o644}}
	for i := range files {
		files[i].from = filepath.Join(dir, files[i].name)
		if err := os.WriteFile(files[i].from, []byte("the "+files[i].name), mode); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, archive)
	if err := pack(out, files, time.Unix(1790000000, 0).In(zone)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// inZip and inTar list an archive as who unpacks it sees it.
func inZip(t *testing.T, content []byte) string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	list := ""
	for _, f := range r.File {
		data, err := fs.ReadFile(r, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		list += fmt.Sprintln(f.Name, f.Mode(), f.Modified.Unix(), string(data))
	}
	return list
}

func inTar(t *testing.T, content []byte) string {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	list := ""
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list += fmt.Sprintln(h.Name, h.FileInfo().Mode(), h.ModTime.Unix(), string(data))
	}
}

func TestPack(t *testing.T) {
	const want = "doctor -rwxr-xr-x 1790000000 the doctor\nLICENSE -rw-r--r-- 1790000000 the LICENSE\n"
	for archive, list := range map[string]func(*testing.T, []byte) string{"a.zip": inZip, "a.tar.gz": inTar} {
		content := packs(t, archive, time.UTC, 0o600)
		if got := list(t, content); got != want {
			t.Errorf("%s: got\n%swant\n%s", archive, got, want)
		}
		if !bytes.Equal(content, packs(t, archive, time.FixedZone("", 3600), 0o444)) {
			t.Errorf("%s: packed twice it differs", archive)
		}
	}
}
