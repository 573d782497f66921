// Command dist builds the release: one archive per platform, reproducible to the byte,
// their sums, and the krew manifest rendered from them.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// platform is one that kubectl plugins are used on.
type platform struct{ os, arch string }

func platforms() []platform {
	var out []platform
	for _, system := range []string{"darwin", "linux", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			out = append(out, platform{system, arch})
		}
	}
	return out
}

func (p platform) binary() string {
	if p.os == "windows" {
		return "kubectl-netdoctor.exe"
	}
	return "kubectl-netdoctor"
}

func (p platform) archive() string {
	if p.os == "windows" {
		return fmt.Sprintf("kubectl-netdoctor_%s_%s.zip", p.os, p.arch)
	}
	return fmt.Sprintf("kubectl-netdoctor_%s_%s.tar.gz", p.os, p.arch)
}

// semver is what krew takes for a version: v and three numbers, perhaps with a suffix.
var semver = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

func main() {
	version := flag.String("version", "", "version to build, such as v0.1.0")
	out := flag.String("out", "dist", "folder for the archives")
	manifest := flag.String("manifest", ".krew.yaml", "krew manifest to write")
	flag.Parse()
	if err := run(*version, *out, *manifest); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(version, out, manifest string) error {
	if !semver.MatchString(version) {
		return fmt.Errorf("version %q: must be like v0.1.0", version)
	}
	stamp, err := commitTime()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	sums := map[platform]string{}
	var list strings.Builder
	for _, p := range platforms() {
		sum, err := build(p, version, out, stamp)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", p.os, p.arch, err)
		}
		sums[p] = sum
		fmt.Fprintf(&list, "%s  %s\n", sum, p.archive())
		fmt.Println(sum, p.archive())
	}
	if err := os.WriteFile(filepath.Join(out, "sha256sums.txt"), []byte(list.String()), 0o644); err != nil {
		return err
	}
	text, err := renderManifest(version, sums)
	if err != nil {
		return err
	}
	return os.WriteFile(manifest, text, 0o644)
}

// commitTime is the time that every file in the archives carries, so that two builds of
// a commit are equal.
func commitTime() (time.Time, error) {
	out, err := exec.Command("git", "log", "-1", "--format=%cI").Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the commit's time: %w", err)
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(out)))
}

// build compiles a static binary and packs it with the license and the completion
// script, and returns the archive's sum.
func build(p platform, version, out string, stamp time.Time) (string, error) {
	dir, err := os.MkdirTemp("", "netdoctor-dist-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, p.binary())
	compile := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary,
		"-ldflags", "-s -w -buildid= -X github.com/kubectl-netdoctor/netdoctor/pkg/cmd.released="+version, "./cmd/kubectl-netdoctor")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=")
	compile.Stderr = os.Stderr
	if err := compile.Run(); err != nil {
		return "", err
	}
	files := []packed{{p.binary(), binary, 0o755}, {"LICENSE", "LICENSE", 0o644}}
	if p.os != "windows" {
		files = append(files, packed{"kubectl_complete-netdoctor", "hack/dist/kubectl_complete-netdoctor", 0o755})
	}
	archive := filepath.Join(out, p.archive())
	if err := pack(archive, files, stamp); err != nil {
		return "", err
	}
	data, err := os.ReadFile(archive)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
