package facts

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxArchiveBytes bounds what a .tar.gz may unpack to.
const maxArchiveBytes = 16 << 30

// Load reads a bundle: a directory or .tar.gz that capture wrote, or the directory of
// a kubectl cluster-info dump. A file that is damaged, too large or of a later version
// is an error that names it; a snapshot is never returned in part.
func Load(name string) (*Snapshot, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading bundle: %w", err)
	case info.IsDir():
		return loadDir(name)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading bundle %s: neither a directory nor a .tar.gz file", name)
	}
	return loadArchive(name)
}

func loadDir(dir string) (*Snapshot, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("reading bundle: %w", err)
	}
	defer root.Close()
	r := newReader()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading bundle %s: %w", dir, err)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		if err := addFile(r, root, name); err != nil {
			return fmt.Errorf("reading bundle: %s: %w", filepath.Join(dir, name), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return finished(r, dir)
}

func addFile(r *reader, root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return r.add(name, info.Size(), f)
}

func finished(r *reader, name string) (*Snapshot, error) {
	s, err := r.finish()
	if err != nil {
		return nil, fmt.Errorf("reading bundle %s: %w", name, err)
	}
	return s, nil
}

// loadArchive reads the archive twice: once for its names, to find the folder that
// people often pack around a bundle, and once for its files.
func loadArchive(name string) (*Snapshot, error) {
	top, found := "", false
	err := eachEntry(name, func(entry string, _ int64, _ io.Reader) error {
		if base := path.Base(entry); base == manifestFile || base == "nodes.json" {
			if dir := path.Dir(entry); !found || len(dir) < len(top) {
				top, found = dir, true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("reading bundle %s: no bundle.json and no nodes.json in it", name)
	}
	r := newReader()
	err = eachEntry(name, func(entry string, size int64, body io.Reader) error {
		if top != "." {
			inside, ok := strings.CutPrefix(entry, top+"/")
			if !ok {
				return nil
			}
			entry = inside
		}
		return r.add(entry, size, body)
	})
	if err != nil {
		return nil, err
	}
	return finished(r, name)
}

// eachEntry walks the regular files of a .tar.gz. An entry whose name leaves the
// archive makes the whole archive an error.
func eachEntry(name string, each func(entry string, size int64, body io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading bundle: %w", err)
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("reading bundle %s: neither a directory nor a .tar.gz file", name)
	}
	archive := tar.NewReader(&limited{zipped, maxArchiveBytes})
	for {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading bundle %s: damaged archive: %w", name, err)
		}
		entry := path.Clean(strings.TrimPrefix(h.Name, "./"))
		if h.Typeflag != tar.TypeDir && !filepath.IsLocal(entry) {
			return fmt.Errorf("reading bundle %s: entry %q points outside the archive", name, h.Name)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := each(entry, h.Size, archive); err != nil {
			return fmt.Errorf("reading bundle %s: %s: %w", name, entry, err)
		}
	}
}

// limited ends a reading that goes on for longer than any bundle would.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("it unpacks to more than %d bytes", int64(maxArchiveBytes))
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}
