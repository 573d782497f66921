// Package sbom writes down what an image consists of, as an SPDX 2.3 document: the image,
// its programs, and the Go modules that the linker put into each. It says the same to the
// byte for the same image.
package sbom

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// Subject is what the document is about.
type Subject struct {
	Repository string // of the image, without tag and digest
	Version    string
	Digest     string // of the index, such as sha256:…
	License    string // of the programs, as SPDX names it
	Created    time.Time
	Parts      []Part
}

// Part is the image of one platform, with its only program.
type Part struct {
	Arch    string
	Digest  string // of the manifest
	Program string // its name
	Content []byte
	Info    *buildinfo.BuildInfo
}

// unsaid is SPDX's word for what a document makes no statement about.
const unsaid = "NOASSERTION"

// Write writes the document as indented JSON.
func (s Subject) Write(w io.Writer) error {
	d := &document{known: map[common.ElementID]string{}}
	if err := d.image(s); err != nil {
		return err
	}
	slices.SortFunc(d.packages, func(a, b *v2_3.Package) int {
		return cmp.Compare(a.PackageSPDXIdentifier, b.PackageSPDXIdentifier)
	})
	return json.Write(&v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: root,
		DocumentName: path.Base(s.Repository) + "-" + s.Version,
		// Documents of one namespace are one document: the digest stands for all that is in it.
		DocumentNamespace: "https://" + s.Repository + "/spdx/" + s.Digest,
		CreationInfo: &v2_3.CreationInfo{
			Created:  s.Created.UTC().Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "netdoctor-hack-image"}},
		},
		Packages: d.packages, Relationships: d.relationships,
	}, w, json.Indent("  "))
}

// root is the document itself, which describes the image.
const root = common.ElementID("DOCUMENT")

// document is one that grows.
type document struct {
	packages      []*v2_3.Package
	relationships []*v2_3.Relationship
	known         map[common.ElementID]string // what each identifier stands for
}

// image adds the image and everything below it.
func (d *document) image(s Subject) error {
	all := packageOf("Image", s.Repository, s.Version)
	all.PrimaryPackagePurpose, all.PackageLicenseDeclared = "CONTAINER", s.License
	all.PackageExternalReferences = locator(imageURL(s.Repository, s.Digest, ""))
	if err := d.add(root, "DESCRIBES", all); err != nil {
		return err
	}
	for _, part := range s.Parts {
		of := packageOf("Image-"+part.Arch, s.Repository, s.Version)
		of.PrimaryPackagePurpose, of.PackageLicenseDeclared = "CONTAINER", s.License
		of.PackageExternalReferences = locator(imageURL(s.Repository, part.Digest, part.Arch))
		if err := d.add(all.PackageSPDXIdentifier, "CONTAINS", of); err != nil {
			return err
		}
		if err := d.program(of.PackageSPDXIdentifier, s, part); err != nil {
			return fmt.Errorf("%s: %w", part.Arch, err)
		}
	}
	return nil
}

// program adds what is in one image: the program, which was linked from modules and from
// Go's standard library.
func (d *document) program(image common.ElementID, s Subject, part Part) error {
	p := packageOf("Program-"+part.Arch, part.Program, s.Version)
	p.PrimaryPackagePurpose, p.PackageLicenseDeclared = "APPLICATION", s.License
	sum := sha256.Sum256(part.Content)
	p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: hex.EncodeToString(sum[:])}}
	p.PackageExternalReferences = locator(moduleURL(part.Info.Main.Path, s.Version))
	if err := d.add(image, "CONTAINS", p); err != nil {
		return err
	}
	for _, m := range modules(part.Info) {
		made, err := m.spdx()
		if err != nil {
			return err
		}
		if err := d.add(p.PackageSPDXIdentifier, "DEPENDS_ON", made); err != nil {
			return err
		}
	}
	return nil
}

// add adds a package, unless it is there already, and how it relates to another element.
func (d *document) add(from common.ElementID, how string, p *v2_3.Package) error {
	id, is := p.PackageSPDXIdentifier, p.PackageName+"@"+p.PackageVersion
	switch before, exists := d.known[id]; {
	case !exists:
		d.known[id] = is
		d.packages = append(d.packages, p)
	case before != is:
		return fmt.Errorf("%s and %s would have one identifier, %s", before, is, id)
	}
	d.relationships = append(d.relationships, &v2_3.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, RefB: common.DocElementID{ElementRefID: id}, Relationship: how,
	})
	return nil
}

// packageOf returns a package of which nothing more is known than what it is. FilesAnalyzed
// stays false: the files of which modules were made are not at hand.
func packageOf(id, name, version string) *v2_3.Package {
	return &v2_3.Package{
		PackageSPDXIdentifier: identifier(id), PackageName: name, PackageVersion: version,
		PackageDownloadLocation: unsaid, PackageLicenseConcluded: unsaid, PackageLicenseDeclared: unsaid, PackageCopyrightText: unsaid,
		PackageSupplier: &common.Supplier{Supplier: unsaid},
	}
}
