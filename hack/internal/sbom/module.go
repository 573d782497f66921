package sbom

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// module is a module, or Go's standard library, in a version.
type module struct{ path, version, sum string }

// modules returns what a program was linked from, the replacements where there are some.
func modules(info *buildinfo.BuildInfo) []module {
	// Vulnerabilities of the standard library are published for this name and the bare
	// version (https://go.dev/doc/security/vuln/database).
	version, _, _ := strings.Cut(info.GoVersion, " ") // experiments follow
	list := []module{{path: "stdlib", version: strings.TrimPrefix(version, "go")}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = append(list, module{m.Path, m.Version, m.Sum})
	}
	return list
}

func (m module) spdx() (*v2_3.Package, error) {
	p := packageOf("Module-"+m.path, m.path, m.version)
	p.PrimaryPackagePurpose = "LIBRARY"
	p.PackageExternalReferences = locator(moduleURL(m.path, m.version))
	if m.sum == "" { // the standard library, and what a directory replaces
		return p, nil
	}
	packed, isH1 := strings.CutPrefix(m.sum, "h1:")
	sum, err := base64.StdEncoding.DecodeString(packed)
	if !isH1 || err != nil {
		return nil, fmt.Errorf("module %s: the sum %q is none of go.sum's", m.path, m.sum)
	}
	// Not the sum of one file: a SHA-256 over those of the module's files. Other tools that
	// make SPDX of Go programs (ko, syft) write it in the same place.
	p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: hex.EncodeToString(sum)}}
	p.PackageSourceInfo = "go.sum " + m.sum
	return p, nil
}

// other is what may not stand in an identifier: it has letters, digits, dots and hyphens
// (SPDX 2.3, 3.2).
var other = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func identifier(text string) common.ElementID {
	return common.ElementID(other.ReplaceAllString(text, "-"))
}

// locator makes a package URL known (https://github.com/package-url/purl-spec).
func locator(purl string) []*v2_3.PackageExternalReference {
	return []*v2_3.PackageExternalReference{{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl}}
}

// moduleURL is of type golang, whose names are in lower case.
func moduleURL(name, version string) string {
	purl := "pkg:golang/" + strings.ToLower(name)
	if version != "" {
		purl += "@" + url.QueryEscape(version)
	}
	return purl
}

// imageURL is of type oci, whose version is the digest.
func imageURL(repository, digest, arch string) string {
	query := "repository_url=" + url.QueryEscape(repository)
	if arch != "" {
		query = "arch=" + arch + "&" + query
	}
	return "pkg:oci/" + path.Base(repository) + "@" + url.QueryEscape(digest) + "?" + query
}
