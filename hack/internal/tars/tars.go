// Package tars writes tars which are the same to the byte on every machine.
package tars

import (
	"archive/tar"
	"io/fs"
	"time"
)

// Add adds a file, or a directory if the name ends in a slash, with nothing in its header
// that another machine would do differently: it is root's, and from the second of stamp.
func Add(w *tar.Writer, name string, content []byte, mode fs.FileMode, stamp time.Time) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: int64(mode),
		ModTime: stamp.UTC().Truncate(time.Second), Format: tar.FormatUSTAR,
	}
	if name[len(name)-1] == '/' {
		header.Typeflag = tar.TypeDir
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}
