package sbom

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// h1 is a sum as go.sum has them.
func h1(of string) string {
	sum := sha256.Sum256([]byte(of))
	return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
}

func hexOf(of string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:])
}

func subject(deps ...*debug.Module) Subject {
	info := func(more ...*debug.Module) *buildinfo.BuildInfo {
		return &buildinfo.BuildInfo{GoVersion: "go1.99.3 X:some", Main: debug.Module{Path: "example.test/Tools/doctor"}, Deps: append(more, deps...)}
	}
	return Subject{
		Repository: "registry.example/tools/doctor", Version: "v7", Digest: "sha256:aa", License: "MIT",
		Created: time.Unix(1790000000, 0).In(time.FixedZone("", 7200)),
		Parts: []Part{
			{Arch: "amd64", Digest: "sha256:bb", Program: "doctor", Content: []byte("one"), Info: info()},
			{Arch: "arm64", Digest: "sha256:cc", Program: "doctor", Content: []byte("two"), Info: info(&debug.Module{Path: "example.test/arm", Version: "v1.0.0", Sum: h1("arm")})},
		},
	}
}

// written writes a document and reads it again as others would.
func written(t *testing.T, s Subject) *v2_3.Document {
	t.Helper()
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	var d v2_3.Document
	if err := json.ReadInto(&b, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// related says what stands in a relationship to an element.
func related(d *v2_3.Document, from common.ElementID, how string) string {
	var names []string
	for _, r := range d.Relationships {
		if r.RefA.ElementRefID == from && r.Relationship == how {
			names = append(names, string(r.RefB.ElementRefID))
		}
	}
	return strings.Join(names, " ")
}

func TestDocument(t *testing.T) {
	d := written(t, subject(
		&debug.Module{Path: "example.test/Upper/Case", Version: "v2.0.0+incompatible", Sum: h1("upper")},
		&debug.Module{Path: "example.test/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.test/new/v2", Version: "v2.1.0", Sum: h1("new")}},
	))
	if d.SPDXVersion != "SPDX-2.3" || d.DataLicense != "CC0-1.0" || d.CreationInfo.Created != "2026-09-21T14:13:20Z" || !strings.HasSuffix(d.DocumentNamespace, "sha256:aa") {
		t.Errorf("document %+v, %+v", d, d.CreationInfo)
	}
	for _, tc := range []struct {
		from      common.ElementID
		how, want string
	}{
		{"DOCUMENT", "DESCRIBES", "Image"},
		{"Image", "CONTAINS", "Image-amd64 Image-arm64"},
		{"Image-arm64", "CONTAINS", "Program-arm64"},
		{"Program-amd64", "DEPENDS_ON", "Module-stdlib Module-example.test-Upper-Case Module-example.test-new-v2"},
		{"Program-arm64", "DEPENDS_ON", "Module-stdlib Module-example.test-arm Module-example.test-Upper-Case Module-example.test-new-v2"},
	} {
		if got := related(d, tc.from, tc.how); got != tc.want {
			t.Errorf("%s %s %s, want %s", tc.from, tc.how, got, tc.want)
		}
	}
	packages := map[common.ElementID]*v2_3.Package{}
	for _, p := range d.Packages {
		if packages[p.PackageSPDXIdentifier] != nil {
			t.Errorf("%s is there twice", p.PackageSPDXIdentifier)
		}
		packages[p.PackageSPDXIdentifier] = p
	}
	if len(packages) != 9 {
		t.Errorf("%d packages: %v", len(packages), packages)
	}
	for _, tc := range []struct {
		id                          common.ElementID
		name, version, purl, sha256 string
	}{
		{"Image", "registry.example/tools/doctor", "v7", "pkg:oci/doctor@sha256%3Aaa?repository_url=registry.example%2Ftools%2Fdoctor", ""},
		{"Image-arm64", "registry.example/tools/doctor", "v7", "pkg:oci/doctor@sha256%3Acc?arch=arm64&repository_url=registry.example%2Ftools%2Fdoctor", ""},
		{"Program-amd64", "doctor", "v7", "pkg:golang/example.test/tools/doctor@v7", hexOf("one")},
		{"Module-stdlib", "stdlib", "1.99.3", "pkg:golang/stdlib@1.99.3", ""},
		{"Module-example.test-Upper-Case", "example.test/Upper/Case", "v2.0.0+incompatible", "pkg:golang/example.test/upper/case@v2.0.0%2Bincompatible", hexOf("upper")},
		{"Module-example.test-new-v2", "example.test/new/v2", "v2.1.0", "pkg:golang/example.test/new/v2@v2.1.0", hexOf("new")},
	} {
		p := packages[tc.id]
		if p == nil {
			t.Errorf("there is no %s", tc.id)
			continue
		}
		sum := ""
		for _, c := range p.PackageChecksums {
			sum += c.Value
		}
		if p.PackageName != tc.name || p.PackageVersion != tc.version || p.PackageExternalReferences[0].Locator != tc.purl || sum != tc.sha256 || p.FilesAnalyzed {
			t.Errorf("%s: %s %s, %s, sum %s", tc.id, p.PackageName, p.PackageVersion, p.PackageExternalReferences[0].Locator, sum)
		}
	}
}

func TestSameDocument(t *testing.T) {
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := subject(&debug.Module{Path: "b", Version: "v1", Sum: h1("b")}, &debug.Module{Path: "a", Version: "v1"}).Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two documents of one image differ")
	}
}

func TestRefused(t *testing.T) {
	for want, deps := range map[string][]*debug.Module{
		"none of go.sum's": {{Path: "a", Version: "v1", Sum: "h2:00"}},
		"one identifier":   {{Path: "a_b", Version: "v1"}, {Path: "a/b", Version: "v1"}},
		"a@v1 and a@v2":    {{Path: "a", Version: "v1"}, {Path: "a", Version: "v2"}},
	} {
		if err := subject(deps...).Write(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
