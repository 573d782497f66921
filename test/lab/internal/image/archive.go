// Package image makes the container images of the lab without a registry and
// without a container engine, as archives that "ctr images import" reads.
package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Image is an image of one layer.
type Image struct {
	Ref        string // as pods name it, with its tag
	Entrypoint []string
	User       string // root where empty
	Layer      *Layer
}

// File returns the name of the image's archive.
func (i Image) File() string {
	return strings.ReplaceAll(path.Base(i.Ref), ":", "-") + ".tar"
}

// Save writes the image's archive into dir.
func (i Image) Save(dir string) error {
	if err := i.save(filepath.Join(dir, i.File())); err != nil {
		return fmt.Errorf("writing image %s: %w", i.Ref, err)
	}
	return nil
}

func (i Image) save(file string) error {
	layer := file + ".layer"
	defer os.RemoveAll(layer)
	digest, err := i.Layer.save(layer)
	if err != nil {
		return err
	}
	config, err := json.Marshal(i.config(digest))
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{i.Ref}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	archive := newLayer()
	archive.Text("manifest.json", string(manifest))
	archive.Text("config.json", string(config))
	archive.File("layer.tar", layer)
	_, err = archive.save(file)
	return err
}

func (i Image) config(layerDigest string) map[string]any {
	return map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": i.Entrypoint,
			"Env":        []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
			"User":       i.User,
			"WorkingDir": "/",
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layerDigest}},
	}
}

// Layer is a filesystem that is put together from files of the machine. What
// cannot be read is reported when it is saved.
type Layer struct {
	entries map[string]entry // by their path without leading slash
}

// entry is one of: a directory, a text, a link, or a copy of a file.
type entry struct {
	header tar.Header
	text   string
	source string
}

func newLayer() *Layer { return &Layer{map[string]entry{}} }

// Dir adds a directory.
func (l *Layer) Dir(name string, mode int64) {
	l.add(name, entry{header: tar.Header{Typeflag: tar.TypeDir, Mode: mode}})
}

// Text adds a file with the given content.
func (l *Layer) Text(name, content string) {
	l.add(name, entry{header: tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}, text: content})
}

// Link adds a symbolic link.
func (l *Layer) Link(name, target string) {
	l.add(name, entry{header: tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: target}})
}

// File adds a copy of the file source, or of what it links to.
func (l *Layer) File(name, source string) {
	l.add(name, entry{header: tar.Header{Typeflag: tar.TypeReg}, source: source})
}

// Tree adds copies of all files below the directory source.
func (l *Layer) Tree(name, source string) error {
	return filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		l.File(path.Join(name, filepath.ToSlash(below)), file)
		return nil
	})
}

func (l *Layer) add(name string, e entry) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if parent := path.Dir(name); parent != "." {
		if _, exists := l.entries[parent]; !exists {
			l.Dir(parent, 0o755)
		}
	}
	l.entries[name] = e
}

// save writes the layer as a tar file and returns its digest. The same content
// always gives the same digest.
func (l *Layer) save(file string) (digest string, err error) {
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	w := tar.NewWriter(io.MultiWriter(f, hash))
	for _, name := range slices.Sorted(maps.Keys(l.entries)) {
		if err := l.entries[name].write(w, name); err != nil {
			return "", fmt.Errorf("/%s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), f.Close()
}

func (e entry) write(w *tar.Writer, name string) error {
	header := e.header
	header.Name = name
	header.ModTime = time.Unix(0, 0)
	if header.Typeflag == tar.TypeDir {
		header.Name += "/"
	}
	if e.source == "" {
		if err := w.WriteHeader(&header); err != nil {
			return err
		}
		_, err := io.WriteString(w, e.text)
		return err
	}
	f, err := os.Open(e.source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header.Size, header.Mode = info.Size(), int64(info.Mode().Perm())
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
