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

// Load reads a bundle: a directory or .tar.gz that capture wrote, or the directory of
// a kubectl cluster-info dump. A file that is damaged, too large or of a later version
// is an error that names it; a snapshot is never returned in part.
func Load(name string) (*Snapshot, error) { return load(name, usualLimits()) }

func load(name string, bounds limits) (*Snapshot, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading bundle: %w", err)
	case info.IsDir():
		return loadDir(name, bounds)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading bundle %s: neither a directory nor a .tar.gz file", name)
	}
	return loadArchive(name, bounds)
}

func loadDir(dir string, bounds limits) (*Snapshot, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("reading bundle: %w", err)
	}
	defer root.Close()
	r := newReader(bounds)
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
func loadArchive(name string, bounds limits) (*Snapshot, error) {
	top, found := "", false
	err := eachEntry(name, bounds.archive, func(entry string, _ int64, _ io.Reader) error {
		if base := path.Base(entry); base == manifestFile || base == "nodes.json" {
			if !found || strings.Count(entry, "/") < strings.Count(top, "/") {
				top, found = entry, true
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
	top = path.Dir(top)
	r := newReader(bounds)
	err = eachEntry(name, bounds.archive, func(entry string, size int64, body io.Reader) error {
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
func eachEntry(name string, most int64, each func(entry string, size int64, body io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading bundle: %w", err)
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("reading bundle %s: neither a directory nor a .tar.gz file", name)
	}
	unpacked := &limited{r: zipped, most: most}
	archive := tar.NewReader(unpacked)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// The checksum stands behind the archive's own end.
			if _, err = io.Copy(io.Discard, unpacked); err == nil {
				return nil
			}
		}
		if err != nil {
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
	r          io.Reader
	read, most int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.read += int64(n); l.read > l.most {
		return 0, fmt.Errorf("it unpacks to more than %d bytes", l.most)
	}
	return n, err
}
