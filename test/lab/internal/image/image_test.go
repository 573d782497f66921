package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readTar returns the contents of a tar file's files, and the headers of all.
func readTar(t *testing.T, r io.Reader) (map[string]string, map[string]*tar.Header) {
	t.Helper()
	contents, headers := map[string]string{}, map[string]*tar.Header{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return contents, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		headers[h.Name] = h
		if h.Typeflag == tar.TypeReg {
			contents[h.Name] = string(content)
		}
	}
}

func TestArchiveDescribesItsLayer(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := newLayer()
	l.File("/usr/bin/program", program)
	l.Link("bin", "usr/bin")
	l.Dir("tmp", 0o1777)
	i := Image{Ref: "example.org/some/image:v1", Entrypoint: []string{"/bin/program"}, User: "7", Layer: l}
	dir := t.TempDir()
	if err := i.Save(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "image-v1.tar" {
		t.Fatalf("files are %v, want image-v1.tar; %v", entries, err)
	}
	f, err := os.Open(filepath.Join(dir, "image-v1.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	contents, _ := readTar(t, f)

	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal([]byte(contents["manifest.json"]), &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("manifest is %s; %v", contents["manifest.json"], err)
	}
	if got := manifest[0].RepoTags; !slices.Equal(got, []string{i.Ref}) {
		t.Errorf("tags are %v, want %s", got, i.Ref)
	}
	layer := contents[manifest[0].Layers[0]]
	var config struct {
		Config struct {
			Entrypoint []string
			User       string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal([]byte(contents[manifest[0].Config]), &config); err != nil {
		t.Fatal(err)
	}
	if got, want := config.RootFS.DiffIDs, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(layer))); !slices.Equal(got, []string{want}) {
		t.Errorf("digests are %v, want %s", got, want)
	}
	if config.Config.User != "7" || !slices.Equal(config.Config.Entrypoint, i.Entrypoint) {
		t.Errorf("config is %+v", config.Config)
	}

	files, headers := readTar(t, strings.NewReader(layer))
	if got := files["usr/bin/program"]; got != "#!/bin/sh" || headers["usr/bin/program"].Mode != 0o755 {
		t.Errorf("program is %q with mode %o", got, headers["usr/bin/program"].Mode)
	}
	for _, parent := range []string{"usr/", "usr/bin/", "tmp/"} {
		if h := headers[parent]; h == nil || h.Typeflag != tar.TypeDir {
			t.Errorf("%s is no directory in the layer", parent)
		}
	}
	if h := headers["bin"]; h == nil || h.Linkname != "usr/bin" {
		t.Errorf("bin is %v, want a link", h)
	}
}

func TestSaveTellsWhatIsMissing(t *testing.T) {
	l := newLayer()
	l.File("program", "/no/such/program")
	err := Image{Ref: "x:y", Layer: l}.Save(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("error is %v, want the missing file", err)
	}
}

func TestLibrariesIncludeLoader(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash to look at")
	}
	libraries, err := librariesOf(t.Context(), []string{shell, shell})
	if err != nil {
		t.Skip("not a dynamic program here:", err)
	}
	for _, part := range []string{"libc.so", "ld-linux"} {
		if !slices.ContainsFunc(libraries, func(l string) bool { return strings.Contains(l, part) }) {
			t.Errorf("%s is missing in %v", part, libraries)
		}
	}
	if !slices.IsSorted(libraries) || len(slices.Compact(slices.Clone(libraries))) != len(libraries) {
		t.Errorf("%v is not a sorted set", libraries)
	}
}

func TestMergedFollowsLinksOfTheRoot(t *testing.T) {
	for from, want := range map[string]string{
		"/lib64/ld-linux-x86-64.so.2":           "/usr/lib64/ld-linux-x86-64.so.2",
		"/lib/x86_64-linux-gnu/libm.so.6":       "/usr/lib/x86_64-linux-gnu/libm.so.6",
		"/usr/lib/x86_64-linux-gnu/libmnl.so.0": "/usr/lib/x86_64-linux-gnu/libmnl.so.0",
		"/opt/lib/libx.so":                      "/opt/lib/libx.so",
	} {
		if got := merged(from); got != want {
			t.Errorf("merged(%q) = %q, want %q", from, got, want)
		}
	}
}
