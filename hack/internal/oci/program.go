package oci

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
)

// Program is a program that runs where there is nothing else: no shell, no library, no
// loader.
type Program struct {
	Content []byte
	Arch    string // as Go and OCI call it, such as amd64
	Info    *buildinfo.BuildInfo
}

// Read reads a Go program from a file. What could not start in an image without any other
// file is an error: programs for other systems, and those that ask for a loader.
func Read(file string) (*Program, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

func parse(content []byte) (*Program, error) {
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	p := &Program{Content: content, Info: info}
	for _, s := range info.Settings {
		switch {
		case s.Key == "GOARCH":
			p.Arch = s.Value
		case s.Key == "GOOS" && s.Value != "linux":
			return nil, fmt.Errorf("it is built for %s, and containers of Kubernetes' nodes run linux", s.Value)
		}
	}
	if p.Arch == "" {
		return nil, errors.New("it does not say for which processor it was built")
	}
	return p, p.static()
}

// static returns nil if the program needs no loader and hence no shared library.
func (p *Program) static() error {
	f, err := elf.NewFile(bytes.NewReader(p.Content))
	if err != nil {
		return err
	}
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			return errors.New("it is linked dynamically: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
