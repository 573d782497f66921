// Package oci makes container images of one static program and nothing else, without a
// container engine and the same to the byte each time.
//
// The few JSON files are written with the types of image-spec. The larger libraries, such
// as go-containerregistry, would put docker's client into the module graph of the plugin,
// and write no archive in the form of a layout either: that they read what is written here
// is what counts.
package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kubectl-netdoctor/netdoctor/hack/internal/tars"
)

const (
	// program is where the program lies in its image.
	program = "kubectl-netdoctor"
	// user is nobody whom a node knows. A pod that must be root says so itself; to the others
	// Kubernetes can tell from a number, without a passwd, that they are not.
	user = "65532:65532"
)

// About is what an image says of itself.
type About struct {
	Created time.Time         // of the image and of its file
	Labels  map[string]string // org.opencontainers.image.…: labels and annotations
}

// Image is an image for one platform, or an index of such: a descriptor, and all that it
// leads to.
type Image struct {
	// Top describes the manifest or index. Its digest is that of the image in every registry.
	Top   ocispec.Descriptor
	blobs map[digest.Digest][]byte
}

// New returns the image of a program.
func New(p *Program, about About) (*Image, error) {
	files, err := layer(p.Content, about.Created)
	if err != nil {
		return nil, err
	}
	packed, err := pack(files)
	if err != nil {
		return nil, err
	}
	i := &Image{blobs: map[digest.Digest][]byte{}}
	created := about.Created.UTC()
	platform := ocispec.Platform{OS: "linux", Architecture: p.Arch}
	config, err := i.addJSON(ocispec.MediaTypeImageConfig, ocispec.Image{
		Created: &created, Platform: platform,
		Config: ocispec.ImageConfig{User: user, Entrypoint: []string{"/" + program}, WorkingDir: "/", Labels: about.Labels},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(files)}},
	})
	if err != nil {
		return nil, err
	}
	i.Top, err = i.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config,
		Layers: []ocispec.Descriptor{i.add(ocispec.MediaTypeImageLayerGzip, packed)}, Annotations: about.Labels,
	})
	i.Top.Platform = &platform
	return i, err
}

// Join returns the index of images for different platforms, which has no other content.
func Join(images []*Image, about About) (*Image, error) {
	joined := &Image{blobs: map[digest.Digest][]byte{}}
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Annotations: about.Labels,
	}
	for _, i := range images {
		maps.Copy(joined.blobs, i.blobs)
		index.Manifests = append(index.Manifests, i.Top)
	}
	var err error
	joined.Top, err = joined.addJSON(ocispec.MediaTypeImageIndex, index)
	return joined, err
}

func (i *Image) add(mediaType string, blob []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	i.blobs[d.Digest] = blob
	return d
}

func (i *Image) addJSON(mediaType string, value any) (ocispec.Descriptor, error) {
	blob, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return i.add(mediaType, blob), nil
}

// layer returns the only layer: the program, root's.
func layer(content []byte, stamp time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := errors.Join(tars.Add(w, program, content, 0o755, stamp), w.Close())
	return b.Bytes(), err // which only the closing has completed
}

func pack(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}
