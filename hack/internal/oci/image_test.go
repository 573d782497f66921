package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const name = "registry.example:5000/tools/doctor:v7"

func about() About {
	return About{Created: time.Unix(1790000000, 5).In(time.FixedZone("", 3600)), Labels: map[string]string{ocispec.AnnotationVersion: "v7"}}
}

func made(t *testing.T, arch, content string) *Image {
	t.Helper()
	i, err := New(&Program{Arch: arch, Content: []byte(content)}, about())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func archive(t *testing.T, i *Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := i.Write(&b, name); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// untar reads all of a tar, to its end, and insists on sorted entries that tell nothing of
// who made them.
func untar(t *testing.T, content []byte, stamp time.Time) map[string][]byte {
	t.Helper()
	files, last := map[string][]byte{}, ""
	if end := make([]byte, 1024); !bytes.HasSuffix(content, end) {
		t.Error("the tar has no end")
	}
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name <= last || !h.ModTime.Equal(stamp) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || h.Format != tar.FormatUSTAR {
			t.Errorf("after %s: %+v", last, h)
		}
		last = h.Name
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, "/") != (h.Typeflag == tar.TypeDir) || h.Mode&0o444 != 0o444 {
			t.Errorf("%s: type %c, mode %o", h.Name, h.Typeflag, h.Mode)
		}
	}
}

// layout is an archive as its readers see it.
type layout struct {
	t     *testing.T
	files map[string][]byte
	used  map[string]bool
}

func read(t *testing.T, i *Image) layout {
	t.Helper()
	return layout{t, untar(t, archive(t, i), time.Unix(0, 0)), map[string]bool{"blobs/": true, "blobs/sha256/": true}}
}

// get decodes a file, or returns it where into is nil.
func (l layout) get(file string, into any) []byte {
	l.t.Helper()
	content, exists := l.files[file]
	l.used[file] = true
	if !exists {
		l.t.Fatalf("there is no %s", file)
	}
	if into != nil {
		if err := json.Unmarshal(content, into); err != nil {
			l.t.Fatal(file, err)
		}
	}
	return content
}

// follow is get of a blob, which must be what its descriptor says.
func (l layout) follow(d ocispec.Descriptor, into any) []byte {
	l.t.Helper()
	content := l.get("blobs/sha256/"+d.Digest.Encoded(), into)
	if digest.FromBytes(content) != d.Digest || int64(len(content)) != d.Size {
		l.t.Errorf("%s: %d bytes of %s", d.Digest, len(content), digest.FromBytes(content))
	}
	return content
}

// entry returns the one entry of the index.
func (l layout) entry() ocispec.Descriptor {
	l.t.Helper()
	var mark ocispec.ImageLayout
	if l.get("oci-layout", &mark); mark.Version != "1.0.0" {
		l.t.Errorf("version %q", mark.Version)
	}
	var index ocispec.Index
	l.get("index.json", &index)
	if len(index.Manifests) != 1 {
		l.t.Fatalf("%d entries: skopeo and crane ask which", len(index.Manifests))
	}
	want := map[string]string{"io.containerd.image.name": name, ocispec.AnnotationRefName: "v7"}
	if got := index.Manifests[0].Annotations; !maps.Equal(got, want) {
		l.t.Errorf("annotations %v, want %v", got, want)
	}
	return index.Manifests[0]
}

// image looks at everything below a manifest.
func (l layout) image(d ocispec.Descriptor, arch, content string) ocispec.Manifest {
	l.t.Helper()
	var m ocispec.Manifest
	l.follow(d, &m)
	var config ocispec.Image
	l.follow(m.Config, &config)
	unpacked, err := gzip.NewReader(bytes.NewReader(l.follow(m.Layers[0], nil)))
	if err != nil {
		l.t.Fatal(err)
	}
	files, err := io.ReadAll(unpacked)
	if err != nil {
		l.t.Fatal(err)
	}
	if got := config.RootFS.DiffIDs; len(m.Layers) != 1 || !slices.Equal(got, []digest.Digest{digest.FromBytes(files)}) {
		l.t.Errorf("diff_ids %v", got)
	}
	if got := untar(l.t, files, time.Unix(1790000000, 0)); len(got) != 1 || string(got["kubectl-netdoctor"]) != content {
		l.t.Errorf("the layer holds %q", got)
	}
	if p := d.Platform; p == nil || p.Architecture != arch || p.OS != "linux" || config.Architecture != arch || config.OS != "linux" {
		l.t.Errorf("platform %+v of the entry, %+v of the configuration", p, config.Platform)
	}
	if c := config.Config; c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/kubectl-netdoctor"}) || c.Cmd != nil ||
		c.Labels[ocispec.AnnotationVersion] != "v7" || m.Annotations[ocispec.AnnotationVersion] != "v7" {
		l.t.Errorf("configuration %+v", c)
	}
	return m
}

// nothingElse fails where the archive has what nobody was led to.
func (l layout) nothingElse() {
	l.t.Helper()
	for file := range l.files {
		if !l.used[file] {
			l.t.Errorf("%s leads nowhere", file)
		}
	}
}

func TestImage(t *testing.T) {
	l := read(t, made(t, "arm64", "a program"))
	m := l.image(l.entry(), "arm64", "a program")
	var legacy []struct {
		Config           string
		RepoTags, Layers []string
	}
	l.get("manifest.json", &legacy)
	if len(legacy) != 1 || !slices.Equal(legacy[0].RepoTags, []string{name}) || legacy[0].Config != "blobs/sha256/"+m.Config.Digest.Encoded() ||
		!slices.Equal(legacy[0].Layers, []string{"blobs/sha256/" + m.Layers[0].Digest.Encoded()}) {
		t.Errorf("manifest.json is %+v", legacy)
	}
	l.nothingElse()
}

func TestJoin(t *testing.T) {
	programs := map[string]string{"amd64": "for one", "riscv64": "for another"}
	var images []*Image
	for _, arch := range slices.Sorted(maps.Keys(programs)) {
		images = append(images, made(t, arch, programs[arch]))
	}
	all, err := Join(images, about())
	if err != nil {
		t.Fatal(err)
	}
	l := read(t, all)
	top := l.entry()
	if top.Digest != all.Top.Digest || top.Platform != nil {
		t.Errorf("the entry is %+v, the index %+v", top, all.Top)
	}
	var index ocispec.Index
	l.follow(top, &index)
	if len(index.Manifests) != 2 || index.Annotations[ocispec.AnnotationVersion] != "v7" {
		t.Fatalf("index %+v", index)
	}
	for n, arch := range slices.Sorted(maps.Keys(programs)) {
		l.image(index.Manifests[n], arch, programs[arch])
		// Whoever took one architecture's archive has the image that the index names.
		if single := read(t, images[n]).entry(); single.Digest != index.Manifests[n].Digest {
			t.Errorf("%s: %s alone, %s in the index", arch, single.Digest, index.Manifests[n].Digest)
		}
	}
	l.nothingElse()
}

func TestSameBytes(t *testing.T) {
	first := made(t, "amd64", "same")
	if !bytes.Equal(archive(t, first), archive(t, made(t, "amd64", "same"))) {
		t.Error("one program makes two archives")
	}
	for what, other := range map[string]*Image{"another program": made(t, "amd64", "other"), "another processor": made(t, "arm64", "same")} {
		if other.Top.Digest == first.Top.Digest {
			t.Errorf("%s: the same digest", what)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, want := range map[string]bool{
		"docker.io/library/netdoctor:lab": true, "localhost/a:b": true, "localhost:5000/a/b-c__d:v1": true, "10.0.0.1:80/x:1": true,
		"netdoctor": false, "netdoctor:lab": false, "library/netdoctor:lab": false, "docker.io/library/netdoctor": false,
		"docker.io/library/Netdoctor:lab": false, "docker.io/x@sha256:00": false, "docker.io/x:": false, "docker.io/x:a/b": false, "": false,
	} {
		if got := CheckName(name) == nil; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	if err := made(t, "amd64", "x").Write(io.Discard, "short:name"); err == nil {
		t.Error("an archive has a name that nobody will find")
	}
}
