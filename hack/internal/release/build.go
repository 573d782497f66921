// Package release builds what a release consists of. Whoever builds a commit gets the same
// to the byte.
package release

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// Source is where the source is.
const Source = "https://github.com/kubectl-netdoctor/netdoctor"

// License is the license of the source, as SPDX names it.
const License = "Apache-2.0"

// Program is the name of the plugin's binary.
const Program = "kubectl-netdoctor"

// semver is what krew takes for a version: v and three numbers, perhaps with a suffix.
var semver = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// CheckVersion returns an error unless krew would take the version.
func CheckVersion(version string) error {
	if !semver.MatchString(version) {
		return fmt.Errorf("version %q: must be like v0.1.0", version)
	}
	return nil
}

// Binary is a static binary of the plugin.
type Binary struct {
	OS, Arch string // as Go calls them
	Version  string
	// Image is what its pods run where the user does not say: by digest, so that the binary
	// runs nothing but what belongs to it. "" is for the binary in the image, since an image
	// cannot hold its own digest.
	Image string
}

// Build compiles it into the file out. The working directory is the top of the repository.
func (b Binary) Build(out string) error {
	set := " -X github.com/kubectl-netdoctor/netdoctor/pkg/cmd."
	flags := set + "released=" + b.Version
	if b.Image != "" {
		flags += set + "defaultImage=" + b.Image
	}
	return compile(".", "./cmd/"+Program, b.OS, b.Arch, flags, out)
}

// compile builds a package of the module in dir, with nothing in it that depends on the
// machine.
func compile(dir, pkg, system, arch, ldflags, out string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", out, "-ldflags", "-s -w -buildid="+ldflags, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch, "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building for %s/%s: %w", system, arch, err)
	}
	return nil
}

// Commit is the state of the source that is built.
type Commit struct {
	// Time is what every file in the archives carries, so that two builds are equal.
	Time time.Time
	// Revision is the commit's hash, with "-dirty" where files are not as it has them, or it
	// has them not.
	Revision string
}

// Head returns the commit that is checked out.
func Head() (Commit, error) {
	text, err := git("log", "-1", "--format=%cI %H")
	if err != nil {
		return Commit{}, err
	}
	stamp, hash, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return Commit{}, fmt.Errorf("the commit's time: %w", err)
	}
	// The krew manifest is written from what is built, and is no part of it.
	changed, err := git("status", "--porcelain", "--", ":/", ":(top,exclude).krew.yaml")
	if changed != "" {
		hash += "-dirty"
	}
	return Commit{Time: at, Revision: hash}, err
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
