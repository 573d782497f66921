package oci

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kubectl-netdoctor/netdoctor/hack/internal/tars"
)

// full is a name in the form that containerd keeps it and Kubernetes looks it up: with the
// registry's host and with a tag. Short ones, such as "busybox", would be imported as they
// are and never found.
var full = regexp.MustCompile(`^([a-z0-9-]+(\.[a-z0-9-]+)+|localhost)(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+:([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$`)

// CheckName returns an error unless the name is a full one with a tag, such as
// docker.io/library/netdoctor:lab.
func CheckName(name string) error {
	if !full.MatchString(name) {
		return fmt.Errorf("image name %q: must be like docker.io/library/netdoctor:lab, with the registry's host and a tag", name)
	}
	return nil
}

// Write writes the image as an archive: an OCI image layout in a tar. It has one entry, so
// that readers need not be told which. They are "ctr images import", "docker load" with
// containerd's store, "podman load", "skopeo copy --all oci-archive:…" and, unpacked, "crane
// push". What is for a single platform "docker load" with docker's own store and "crane push"
// can read as it is.
func (i *Image) Write(w io.Writer, name string) error {
	files, err := i.files(name)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(file, "/") {
			mode = 0o755
		}
		// The content is what has a time, so that equal images make equal archives.
		if err := tars.Add(archive, file, files[file], mode, time.Unix(0, 0)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return archive.Close()
}

// files returns the files of the archive, directories among them.
func (i *Image) files(name string) (map[string][]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	entry := i.Top
	// containerd, and podman after it, names the image by the first annotation, others choose
	// among several by the second, which by the specification is the tag alone.
	entry.Annotations = map[string]string{
		"io.containerd.image.name": name, ocispec.AnnotationRefName: name[strings.LastIndex(name, ":")+1:],
	}
	contents := map[string]any{
		ocispec.ImageLayoutFile: ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion},
		ocispec.ImageIndexFile: ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{entry},
		},
	}
	if i.Top.MediaType == ocispec.MediaTypeImageManifest {
		legacy, err := i.legacy(name)
		if err != nil {
			return nil, err
		}
		contents["manifest.json"] = legacy
	}
	files := map[string][]byte{"blobs/": nil, "blobs/sha256/": nil}
	for d, blob := range i.blobs {
		files[inLayout(d)] = blob
	}
	for file, value := range contents {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		files[file] = text
	}
	return files, nil
}

// legacy is the manifest.json of docker's image format 1.2, over the same blobs.
func (i *Image) legacy(name string) (any, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(i.blobs[i.Top.Digest], &m); err != nil {
		return nil, err
	}
	type image struct {
		Config           string
		RepoTags, Layers []string
	}
	return []image{{inLayout(m.Config.Digest), []string{name}, []string{inLayout(m.Layers[0].Digest)}}}, nil
}

func inLayout(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}
