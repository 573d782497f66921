package release

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kubectl-netdoctor/netdoctor"
	"github.com/kubectl-netdoctor/netdoctor/hack/internal/oci"
	"github.com/kubectl-netdoctor/netdoctor/hack/internal/sbom"
)

// architectures are those of nodes for which there is an image.
func architectures() []string { return []string{"amd64", "arm64"} }

// Image is the image of a release, for all architectures.
type Image struct {
	Ref   string   // as pods name it: by the digest that every registry gives to it
	Files []string // what was written, without the directory
}

// BuildImage builds the image of a version from the checked-out source, and writes into the
// directory out, which it makes if need be, an archive for each architecture, one with all of
// them, and the list of what is in them.
func BuildImage(version, out string) (Image, error) {
	if err := CheckVersion(version); err != nil {
		return Image{}, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return Image{}, err
	}
	commit, err := Head()
	if err != nil {
		return Image{}, err
	}
	work, err := os.MkdirTemp("", "netdoctor-image-")
	if err != nil {
		return Image{}, err
	}
	defer os.RemoveAll(work)
	var programs []*oci.Program
	for _, arch := range architectures() {
		binary := filepath.Join(work, arch)
		if err := (Binary{OS: "linux", Arch: arch, Version: version}).Build(binary); err != nil {
			return Image{}, err
		}
		p, err := oci.Read(binary)
		if err != nil {
			return Image{}, err
		}
		programs = append(programs, p)
	}
	return writeImage(version, out, commit, programs)
}

// writeImage writes the files of the image that holds these programs.
func writeImage(version, out string, commit Commit, programs []*oci.Program) (Image, error) {
	about := oci.About{Created: commit.Time, Labels: labels()}
	about.Labels[ocispec.AnnotationVersion], about.Labels[ocispec.AnnotationRevision] = version, commit.Revision
	list := sbom.Subject{Repository: netdoctor.Image, Version: version, License: License, Created: commit.Time}
	name := netdoctor.Image + ":" + version
	made := Image{}
	var images []*oci.Image
	for _, p := range programs {
		i, err := oci.New(p, about)
		if err != nil {
			return Image{}, err
		}
		images = append(images, i)
		list.Parts = append(list.Parts, sbom.Part{
			Arch: p.Arch, Digest: i.Top.Digest.String(), Program: Program, Content: p.Content, Info: p.Info,
		})
		file := "netdoctor-image-linux-" + p.Arch + ".tar"
		if err := made.write(out, file, func(w io.Writer) error { return i.Write(w, name) }); err != nil {
			return Image{}, err
		}
	}
	all, err := oci.Join(images, about)
	if err != nil {
		return Image{}, err
	}
	list.Digest = all.Top.Digest.String()
	made.Ref = netdoctor.Image + "@" + list.Digest
	return made, errors.Join(
		made.write(out, "netdoctor-image.tar", func(w io.Writer) error { return all.Write(w, name) }),
		made.write(out, "netdoctor-image.spdx.json", list.Write))
}

// WriteArchive writes into the file out the image of a program that was built before, under
// a name such as docker.io/library/netdoctor:lab. The same program makes the same image.
func WriteArchive(binary, name, out string) error {
	if err := oci.CheckName(name); err != nil {
		return err
	}
	p, err := oci.Read(binary)
	if err != nil {
		return err
	}
	i, err := oci.New(p, oci.About{Created: time.Unix(0, 0), Labels: labels()})
	if err != nil {
		return err
	}
	return create(out, func(w io.Writer) error { return i.Write(w, name) })
}

// labels are those that every image has (image-spec, annotations.md).
func labels() map[string]string {
	return map[string]string{
		ocispec.AnnotationTitle: "kubectl netdoctor", ocispec.AnnotationSource: Source, ocispec.AnnotationLicenses: License,
	}
}

// write writes one of the image's files.
func (i *Image) write(dir, name string, content func(io.Writer) error) error {
	i.Files = append(i.Files, name)
	return create(filepath.Join(dir, name), content)
}

func create(file string, content func(io.Writer) error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := errors.Join(content(f), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
