package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/hack/internal/tars"
)

// packed is a file of an archive: its name there, where it comes from, its mode.
type packed struct {
	name, from string
	mode       fs.FileMode
}

func pack(archive string, files []packed, stamp time.Time) error {
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	if strings.HasSuffix(archive, ".zip") {
		err = packZip(f, files, stamp)
	} else {
		err = packTar(f, files, stamp)
	}
	return errors.Join(err, f.Close())
}

func packTar(f *os.File, files []packed, stamp time.Time) error {
	zipped := gzip.NewWriter(f)
	w := tar.NewWriter(zipped)
	for _, file := range files {
		data, err := os.ReadFile(file.from)
		if err != nil {
			return err
		}
		if err := tars.Add(w, file.name, data, file.mode, stamp); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), zipped.Close())
}

func packZip(f *os.File, files []packed, stamp time.Time) error {
	w := zip.NewWriter(f)
	for _, file := range files {
		data, err := os.ReadFile(file.from)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: file.name, Method: zip.Deflate, Modified: stamp.UTC()}
		header.SetMode(file.mode)
		entry, err := w.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(data); err != nil {
			return err
		}
	}
	return w.Close()
}
