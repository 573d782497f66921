// Command image builds the container image of the plugin without a container engine: the
// program and nothing else. With -version it builds the image of a release, an archive for
// each architecture and one with all, beside a list of what is in it. With -binary it packs
// a program that is built already, for nodes that are given the archive.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/kubectl-netdoctor/netdoctor/hack/internal/release"
)

func main() {
	version := flag.String("version", "", "version to build, such as v0.1.0")
	out := flag.String("out", "dist", "`directory` for the files of a release, or the archive of -binary")
	binary := flag.String("binary", "", "pack this `file`, a static program for linux, which knows its architecture")
	ref := flag.String("ref", "", "with -binary: full `name` of the image, such as docker.io/library/netdoctor:lab")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case (*binary == "") != (*ref == "") || (*binary == "") == (*version == ""):
		err = errors.New("either -version, or -binary and -ref are needed")
	case *binary != "":
		err = release.WriteArchive(*binary, *ref, *out)
	default:
		err = build(*version, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func build(version, out string) error {
	image, err := release.BuildImage(version, out)
	if err != nil {
		return err
	}
	fmt.Println(image.Ref)
	return nil
}
