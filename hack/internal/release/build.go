// Package release builds what a release consists of. Whoever builds a commit with the same
// version of Go gets the same to the byte.
package release

import (
	"encoding/json"
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
	env, err := environment(system, arch)
	if err != nil {
		return err
	}
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building for %s/%s: %w", system, arch, err)
	}
	return nil
}

// environment returns that of a build: of the user's settings, in variables or in the file
// of go env -w, those alone remain that tell where to get modules and where to keep things.
// All that what is built could depend on is fixed. An empty variable would not do where the
// file has a value; without the file it does.
func environment(system, arch string) ([]string, error) {
	places := []string{
		"GOAUTH", "GOCACHE", "GOCACHEPROG", "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPATH", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOTMPDIR", "GOVCS",
	}
	ask := exec.Command("go", append([]string{"env", "-json"}, places...)...)
	ask.Env, ask.Stderr = append(os.Environ(), "GOTOOLCHAIN=local", "GOROOT="), os.Stderr
	out, err := ask.Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var values map[string]string
	if err := json.Unmarshal(out, &values); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	env := os.Environ()
	for _, name := range places {
		env = append(env, name+"="+values[name])
	}
	return append(env,
		"GOENV=off", "GOTOOLCHAIN=local", "GOROOT=", "GO111MODULE=on", "GOWORK=off", "GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOFIPS140=off", "CGO_ENABLED=0",
		"GOOS="+system, "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0"), nil
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
