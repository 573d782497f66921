package release

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/hack/internal/oci"
)

func TestCheckVersion(t *testing.T) {
	for version, want := range map[string]bool{"v0.1.0": true, "v1.2.3-rc.1": true, "0.1.0": false, "v1.2": false, "v01.2.3": false, "": false} {
		if got := CheckVersion(version) == nil; got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

// The linker says nothing about a variable that is not there, or has a value of its own.
func TestVariablesAreThere(t *testing.T) {
	found := map[string]bool{}
	packages, err := filepath.Glob("../../../pkg/cmd/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range packages {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				kind, ok := v.Type.(*ast.Ident)
				for _, n := range v.Names {
					found[n.Name] = ok && kind.Name == "string" && len(v.Values) == 0
				}
			}
		}
	}
	for _, name := range []string{"released", "defaultImage"} {
		if !found[name] {
			t.Errorf("pkg/cmd has no variable %s of type string without a value", name)
		}
	}
}

// source writes a module that is quickly built, and returns its directory.
func source(t *testing.T, says string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.test/tiny\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nvar text = \""+says+"\"\n\nfunc main() { println(text) }\n")
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func program(t *testing.T, dir, ldflags string) string {
	t.Helper()
	binary := filepath.Join(dir, "built")
	if err := compile(dir, ".", "linux", runtime.GOARCH, ldflags, binary); err != nil {
		t.Fatal(err)
	}
	return binary
}

// image makes the files of a release, with one program for both architectures.
func image(t *testing.T, binary string) (Image, map[string][]byte) {
	t.Helper()
	p, err := oci.Read(binary)
	if err != nil {
		t.Fatal(err)
	}
	var programs []*oci.Program
	for _, arch := range architectures() {
		programs = append(programs, &oci.Program{Content: p.Content, Info: p.Info, Arch: arch})
	}
	dir := t.TempDir()
	made, err := writeImage("v1.2.3", dir, Commit{Time: time.Unix(1790000000, 0), Revision: "0123"}, programs)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range made.Files {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return made, files
}

func TestTwoDirectories(t *testing.T) {
	first, files := image(t, program(t, source(t, "hello"), ""))
	again, same := image(t, program(t, source(t, "hello"), ""))
	if first.Ref != again.Ref || len(files) != 4 {
		t.Errorf("built twice: %s and %s, %d files", first.Ref, again.Ref, len(files))
	}
	for name := range files {
		if len(files[name]) == 0 || !bytes.Equal(files[name], same[name]) {
			t.Errorf("built twice, %s differs", name)
		}
	}
	if !strings.HasPrefix(first.Ref, "ghcr.io/kubectl-netdoctor/netdoctor@sha256:") {
		t.Errorf("the image is called %s", first.Ref)
	}
	other, _ := image(t, program(t, source(t, "hello"), " -X main.text=goodbye"))
	if other.Ref == first.Ref {
		t.Error("another program makes the same image")
	}
}

// What a user has set, in the environment or with go env -w, changes no bit.
func TestSurroundings(t *testing.T) {
	dir := source(t, "hello")
	write(t, filepath.Join(dir, "tagged.go"), "//go:build tagged\n\npackage main\n\nfunc init() { text = \"tagged\" }\n")
	built := func(t *testing.T, arch string) []byte {
		t.Helper()
		binary := filepath.Join(t.TempDir(), "built")
		if err := compile(dir, ".", "linux", arch, "", binary); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	want := map[string][]byte{"amd64": built(t, "amd64"), "arm64": built(t, "arm64")}
	settings := []struct{ name, value string }{
		{"GOAMD64", "v3"}, {"GOARM64", "v9.0"}, {"GOEXPERIMENT", "fieldtrack"}, {"GOFLAGS", "-tags=tagged"}, {"GOTOOLCHAIN", "go1.999.0"},
		{"CGO_ENABLED", "1"}, {"GOWORK", filepath.Join(dir, "go.work")}, {"GOFIPS140", "latest"}, {"GO111MODULE", "off"}, {"GOROOT", dir},
	}
	for _, s := range settings {
		arch := "amd64"
		if s.name == "GOARM64" {
			arch = "arm64"
		}
		t.Run(s.name, func(t *testing.T) {
			t.Setenv(s.name, s.value)
			if !bytes.Equal(built(t, arch), want[arch]) {
				t.Error("it changes what is built")
			}
		})
		if s.name == "GOWORK" || s.name == "GOROOT" { // go env -w does not take them
			continue
		}
		t.Run(s.name+" in the file", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "env")
			write(t, file, s.name+"="+s.value+"\n")
			t.Setenv("GOENV", file)
			t.Setenv(s.name, "")
			if !bytes.Equal(built(t, arch), want[arch]) {
				t.Error("it changes what is built")
			}
		})
	}
}

// Where a user has modules come from, with go env -w too, they come from.
func TestPlacesRemain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	write(t, file, "GOPROXY=https://proxy.example\nGOPRIVATE=example.test\n")
	t.Setenv("GOENV", file)
	t.Setenv("GOPROXY", "")
	t.Setenv("GOPRIVATE", "")
	env, err := environment("linux", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "env", "GOPROXY", "GOPRIVATE")
	cmd.Env = env
	got, err := cmd.Output()
	if want := "https://proxy.example\nexample.test\n"; err != nil || string(got) != want {
		t.Errorf("%v, got %q, want %q", err, got, want)
	}
}

func TestWriteArchive(t *testing.T) {
	binary := program(t, source(t, "lab"), "")
	dir := t.TempDir()
	out := filepath.Join(dir, "a.tar")
	if err := WriteArchive(binary, "docker.io/library/tiny:lab", out); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(out)
	if err != nil || !bytes.Contains(content, []byte("docker.io/library/tiny:lab")) {
		t.Errorf("the archive does not name the image: %v", err)
	}
	if err := WriteArchive(binary, "tiny", filepath.Join(dir, "b.tar")); err == nil {
		t.Error("a short name was taken")
	}
	if err := WriteArchive(filepath.Join(dir, "nothing"), "docker.io/library/tiny:lab", filepath.Join(dir, "b.tar")); err == nil {
		t.Error("a missing program was packed")
	}
	if _, err := os.Stat(filepath.Join(dir, "b.tar")); err == nil {
		t.Error("a refusal leaves an archive")
	}
}

func TestHead(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} { // of a hook that runs the tests
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-01-02T03:04:05+02:00")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	if _, err := Head(); err == nil {
		t.Error("no commit, and no error")
	}
	run("init", "--quiet")
	write(t, ".krew.yaml", "one")
	write(t, "main.go", "one")
	run("add", ".")
	run("commit", "--quiet", "-m", "one")
	for _, tc := range []struct {
		file  string
		dirty bool
	}{{"", false}, {".krew.yaml", false}, {"new.go", true}} {
		if tc.file != "" {
			write(t, tc.file, "two")
		}
		c, err := Head()
		if err != nil || !c.Time.Equal(time.Date(2026, 1, 2, 1, 4, 5, 0, time.UTC)) {
			t.Fatalf("%+v, %v", c, err)
		}
		if got := strings.HasSuffix(c.Revision, "-dirty"); got != tc.dirty || len(strings.TrimSuffix(c.Revision, "-dirty")) != 40 {
			t.Errorf("after %q: %s", tc.file, c.Revision)
		}
	}
}
