// Command dist builds the release: the image and its list of parts, one archive per
// platform, reproducible to the byte, their sums, and the krew manifest rendered from them.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/hack/internal/release"
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
		return release.Program + ".exe"
	}
	return release.Program
}

func (p platform) archive() string {
	if p.os == "windows" {
		return fmt.Sprintf("kubectl-netdoctor_%s_%s.zip", p.os, p.arch)
	}
	return fmt.Sprintf("kubectl-netdoctor_%s_%s.tar.gz", p.os, p.arch)
}

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
	if err := release.CheckVersion(version); err != nil {
		return err
	}
	commit, err := release.Head()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	// The image comes first: the plugin in the archives runs it, by its digest.
	image, err := release.BuildImage(version, out)
	if err != nil {
		return err
	}
	fmt.Println(image.Ref)
	files := image.Files
	for _, p := range platforms() {
		if err := build(p, version, image.Ref, out, commit.Time); err != nil {
			return fmt.Errorf("%s/%s: %w", p.os, p.arch, err)
		}
		files = append(files, p.archive())
	}
	sums, err := writeSums(out, files)
	if err != nil {
		return err
	}
	text, err := renderManifest(version, sums)
	if err != nil {
		return err
	}
	return os.WriteFile(manifest, text, 0o644)
}

// build compiles a binary, and packs it with the license and the completion script.
func build(p platform, version, image, out string, stamp time.Time) error {
	dir, err := os.MkdirTemp("", "netdoctor-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, p.binary())
	if err := (release.Binary{OS: p.os, Arch: p.arch, Version: version, Image: image}).Build(binary); err != nil {
		return err
	}
	files := []packed{{p.binary(), binary, 0o755}, {"LICENSE", "LICENSE", 0o644}}
	if p.os != "windows" {
		files = append(files, packed{"kubectl_complete-netdoctor", "hack/dist/kubectl_complete-netdoctor", 0o755})
	}
	return pack(filepath.Join(out, p.archive()), files, stamp)
}

// writeSums writes sha256sums.txt, and returns the sums by the names of the files.
func writeSums(out string, files []string) (map[string]string, error) {
	sums := map[string]string{}
	var list strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(out, file))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		sums[file] = hex.EncodeToString(sum[:])
		fmt.Fprintf(&list, "%s  %s\n", sums[file], file)
	}
	fmt.Print(list.String())
	return sums, os.WriteFile(filepath.Join(out, "sha256sums.txt"), []byte(list.String()), 0o644)
}
