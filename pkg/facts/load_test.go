package facts

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	manifestText = `{"bundle":1,"taken":"2026-07-01T12:00:00Z","server":"v1.37.2","sources":["nodes","pods"]}`
	nodeList     = `{"kind":"List","apiVersion":"v1","items":[{"kind":"Node","metadata":{"name":"n1"}}]}`
	podList      = `{"kind":"PodList","items":[{"metadata":{"namespace":"a","name":"p"},"spec":{"nodeName":"n1"}}]}`
)

// refused proves that loading fails with exactly these words, on one line, and that
// nothing comes back beside the error.
func refused(t *testing.T, s *Snapshot, err error, want string) {
	t.Helper()
	if s != nil {
		t.Errorf("got a snapshot with %d nodes and %d pods", len(s.Nodes), len(s.Pods))
	}
	if err == nil {
		t.Fatalf("got no error, want %s", want)
	}
	if got := err.Error(); got != want || strings.Contains(got, "\n") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLoadRefusesFiles(t *testing.T) {
	for _, tt := range []struct{ name, file, text, want string }{
		{"no items", "a/pods.json", `{"kind":"PodList"}`, `not a list: it has no "items"`},
		{"items are no list", "a/pods.json", `{"items":{}}`, `"items" is not a list`},
		{"list is an array", "a/pods.json", `[]`, "not a JSON object"},
		{"empty file", "a/pods.json", "", "truncated: the JSON ends too early"},
		{"not JSON", "a/pods.json", "kind: PodList\n", "not JSON: invalid character 'k' looking for beginning of value"},
		{"not JSON inside", "a/pods.json", `{"items":[{"metadata":oops}]}`, "not JSON: invalid character 'o' looking for beginning of value"},
		{"two lists", "a/pods.json", podList + podList, "something follows the list"},
		{"wrong type", "a/pods.json", `{"items":[{"metadata":{"name":"p"}},{"metadata":{"name":"q"},"spec":"x"}]}`,
			"item 1: json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec"},
		{"wrong type of item", "a/pods.json", `{"items":[7]}`, "item 0: json: cannot unmarshal number into Go value of type v1.Pod"},
		{"nothing as item", "a/pods.json", `{"items":[null]}`, "item 0: it has no name"},
		{"another kind", "a/pods.json", `{"items":[{"kind":"Service","metadata":{"name":"s"}}]}`, "item 0: it is a Service, not a Pod"},
		{"manifest not JSON", "bundle.json", `{"bundle":1`, "not the JSON expected: unexpected end of JSON input"},
		{"manifest of a later version", "bundle.json", `{"bundle":2}`,
			"bundle version 2 is later than this netdoctor reads (1): update netdoctor"},
		{"manifest of version 0", "bundle.json", `{"bundle":0}`, `"bundle" must hold the format's version, a number from 1`},
		{"manifest without version", "bundle.json", `null`, `"bundle" must hold the format's version, a number from 1`},
		{"gaps not an object", "gaps.json", `[]`, "not the JSON expected: json: cannot unmarshal array into Go value of type map[string]string"},
		{"configz of something else", "_nodes/n1/configz.json", `{}`, `no "kubeletconfig" in it`},
		{"dumped log without start", "a/p/logs.txt", "hello\n", "not what cluster-info dump writes: no START line where one belongs"},
	} {
		files := map[string]string{"bundle.json": manifestText, "nodes.json": nodeList, "a/pods.json": podList}
		files[tt.file] = tt.text
		t.Run(tt.name+" in a directory", func(t *testing.T) {
			dir := writeDir(t, files)
			s, err := Load(dir)
			refused(t, s, err, "reading bundle: "+filepath.Join(dir, tt.file)+": "+tt.want)
		})
		t.Run(tt.name+" in an archive", func(t *testing.T) {
			var entries []entry
			for name, text := range files {
				entries = append(entries, entry{name: "taken/" + name, text: text})
			}
			name := write(t, "b.tar.gz", pack(t, entries...))
			s, err := Load(name)
			refused(t, s, err, "reading bundle "+name+": taken/"+tt.file+": "+tt.want)
		})
	}
}

func TestLoadRefusesDepth(t *testing.T) {
	s, err := Load(writeDir(t, map[string]string{"bundle.json": `{"bundle":1,"depth":"sea"}`}))
	if s != nil || err == nil || !strings.HasSuffix(err.Error(), ": bundle.json: depth must be one of api, logs, probe, host") {
		t.Errorf("got %v", err)
	}
}

func TestLoadRefusesWhole(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	const neither = "reading bundle %s: neither a directory nor a .tar.gz file"
	for _, tt := range []struct{ name, path, want string }{
		{"text file", write(t, "notes.txt", []byte("see attached\n")), neither},
		{"empty file", write(t, "b.tar.gz", nil), neither},
		{"FIFO", fifo, neither},
		{"device", os.DevNull, neither},
		{"nothing", "testdata/absent", "reading bundle: stat %s: no such file or directory"},
		{"empty directory", t.TempDir(),
			"reading bundle %s: neither bundle.json nor the nodes.json and pods.json of a kubectl cluster-info dump are in it"},
		{"archive of something else", write(t, "b.tar.gz", pack(t, entry{name: "readme", text: "x"})),
			"reading bundle %s: no bundle.json and no nodes.json in it"},
		{"gzip of garbage", write(t, "b.tar.gz", gzipped(t, strings.Repeat("garbage ", 200))),
			"reading bundle %s: damaged archive: archive/tar: invalid tar header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Load(tt.path)
			refused(t, s, err, fmt.Sprintf(tt.want, tt.path))
		})
	}
}

// An entry that would leave the archive spoils it; a link in it is as if it were not
// there.
func TestLoadArchiveEntries(t *testing.T) {
	manifest := entry{name: "bundle.json", text: manifestText}
	outside := func(name string) string {
		return fmt.Sprintf("reading bundle %%s: entry %q points outside the archive", name)
	}
	for _, tt := range []struct {
		name string
		in   entry
		want string // the error, or nothing where the bundle is good
	}{
		{"parent", entry{name: "../nodes.json", text: nodeList}, outside("../nodes.json")},
		{"parent of a folder", entry{name: "a/../../nodes.json", text: nodeList}, outside("a/../../nodes.json")},
		{"absolute", entry{name: "/etc/nodes.json", text: nodeList}, outside("/etc/nodes.json")},
		{"link outside", entry{name: "../nodes.json", kind: tar.TypeSymlink, link: "x"}, outside("../nodes.json")},
		{"link", entry{name: "nodes.json", kind: tar.TypeSymlink, link: "/etc/passwd"}, ""},
		{"hard link", entry{name: "nodes.json", kind: tar.TypeLink, link: "bundle.json"}, ""},
		{"FIFO", entry{name: "nodes.json", kind: tar.TypeFifo}, ""},
		{"folder", entry{name: "./", kind: tar.TypeDir}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := write(t, "b.tar.gz", pack(t, manifest, tt.in))
			s, err := Load(name)
			if tt.want != "" {
				refused(t, s, err, fmt.Sprintf(tt.want, name))
				return
			}
			if err != nil || len(s.Nodes) != 0 || s.Server != "v1.37.2" {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
}

func TestLoadDirIgnoresLinks(t *testing.T) {
	other := writeDir(t, map[string]string{"pods.json": podList})
	dir := writeDir(t, map[string]string{"bundle.json": manifestText})
	for name, target := range map[string]string{"a": other, "nodes.json": filepath.Join(other, "pods.json"), "self": "."} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pods.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Load(dir)
	if err != nil || len(s.Pods) != 0 || len(s.Nodes) != 0 {
		t.Errorf("got %v, %v", s, err)
	}
}

// The folder that holds the manifest is the bundle, whatever stands beside and below.
func TestLoadArchiveTop(t *testing.T) {
	below := entry{name: "b/a/nodes.json", text: `{"items":[]}`}
	for _, tt := range []struct {
		name string
		in   []entry
	}{
		{"top", []entry{{name: "b/nodes.json", text: `{"items":[]}`}, {name: "nodes.json", text: nodeList}}},
		{"folder", []entry{below, {name: "b/nodes.json", text: nodeList}, {name: "c", text: "x"}}},
		{"dotted", []entry{{name: "./b/bundle.json", text: manifestText}, {name: "./b/nodes.json", text: nodeList}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Load(write(t, "b.tgz", pack(t, tt.in...)))
			if err != nil {
				t.Fatal(err)
			}
			if got := len(s.Nodes); got != 1 {
				t.Errorf("got %d nodes, want 1", got)
			}
		})
	}
}
