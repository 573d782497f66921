package cmd

import (
	"fmt"
	"regexp"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/kubectl-netdoctor/netdoctor"
)

func newVersion(c *cluster) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, and the image that its pods run", Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(c.env.Out, "%s\nimage %s\n", versionText(), podImage())
			return err
		},
	}
}

// released is set by the linker when a release is built.
var released string

func versionText() string {
	if released != "" {
		return released
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// defaultImage is set by the linker when a release is built: its own image, by digest. It is
// empty in the binary inside the image, which cannot hold its own digest and starts no pods.
var defaultImage string

// podImage returns the image that pods run where the user names none. Of a build that is no
// release nobody has published one: it has to be given, or loaded onto the nodes.
func podImage() string {
	if defaultImage != "" {
		return defaultImage
	}
	return netdoctor.Image + ":" + asTag(versionText())
}

// asTag makes a tag of a version: those that go gives to other builds may have a "+" or
// brackets, which tags must not (distribution-spec, pulling manifests).
func asTag(version string) string {
	tag := regexp.MustCompile(`[^A-Za-z0-9_.-]+`).ReplaceAllString(version, "-")
	tag = regexp.MustCompile(`^[.-]+|-+$`).ReplaceAllString(tag, "")
	return tag[:min(len(tag), 128)]
}
