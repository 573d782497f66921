package facts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"

	"github.com/kubectl-netdoctor/netdoctor/test/seeds"
)

// FuzzConfigz gives any text as what a kubelet answers. A configuration that is accepted
// is the same when it is written out and read again.
func FuzzConfigz(f *testing.F) {
	for _, text := range seeds.Files(f, func(name string) bool { return path.Base(name) == "configz.json" }) {
		f.Add(text)
	}
	for _, text := range []string{
		"", "null", "{}", "[]", `{"kubeletconfig":null}`, `{"kubeletconfig":{}}`, `{"kubeletconfig":[]}`, `{"kubeletconfig":{}}{}`, `{"KUBELETCONFIG":{"ClusterDNS":[]}}`,
		`{"kubeletconfig":{"clusterDNS":[null,"\u0000"],"resolvConf":"","clusterDomain":"\ud800"}}`, `{"kubeletconfig":{"syncFrequency":"1e9h"}}`,
		`{"kubeletconfig":{"syncFrequency":"-2562047h47m16.854775808s","evictionHard":{"":""}}}`, `{"kubeletconfig":{"maxPods":1e2}}`, `{"kubeletconfig":{"registryPullQPS":99999999999}}`,
		`{"kubeletconfig":{"logging":{"flushFrequency":"5s","options":{"json":{"infoBufferSize":"9e99"}}}}}`, `{"kubeletconfig":{"reservedMemory":[{"limits":{"memory":"-0.5Ki"}}]}}`,
		`{"kubeletconfig":{"registerWithTaints":[{"timeAdded":"9999-12-31T23:59:59-23:59"}]}}`, `{"kubeletconfig":` + strings.Repeat(`{"a":`, 20_000),
		`{"kubeletconfig":{"syncFrequency":"` + strings.Repeat("\x99", 5_000) + `"}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := DecodeConfigz(bytes.NewReader(text))
		if err != nil {
			if config != nil || len(err.Error()) > 1000+8*len(text) {
				t.Errorf("got %v and %d bytes of error", config, len(err.Error()))
			}
			return
		}
		written, err := json.Marshal(map[string]any{"kubeletconfig": config})
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeConfigz(bytes.NewReader(written))
		if err != nil {
			t.Fatalf("what was accepted is refused when written out: %v\n%s", err, written)
		}
		if last, err := json.Marshal(map[string]any{"kubeletconfig": again}); err != nil || !bytes.Equal(last, written) {
			t.Errorf("%v: written out %s, and then %s", err, written, last)
		}
	})
}

// hostileFiles are bundles, as txtar archives.
var hostileFiles = []string{
	"", "-- bundle.json --\n", "-- bundle.json --\nnull", `-- bundle.json --
{"bundle":1,"taken":"9999-12-31T23:59:59-23:59","sources":["pods","nodes","logs","nope",""],"sampled":{"logs":{"asked":-1,"of":0}}}
-- gaps.json --
{"":"","pods":"","logs/a/p":"x","nodes/":"\u001b[2J"}
-- pods.json --
{"items":[{"metadata":{"name":"p"}}]}
-- a/pods.json --
{"items":[{"kind":"Pod","metadata":{"namespace":"b","name":"p"}},{"metadata":{"namespace":"b","name":"p"},"spec":{"containers":[]}}]}
-- a/p/c.log --
x
-- a/p/c.previous.log --
y
`,
	"-- a/p/logs.txt --\n==== START logs for container c of pod a/p ====\nx\n==== END logs for container c of pod a/p ====\n-- nodes.json --\n{\"items\":[]}\n",
	"-- a/p/logs.txt --\n==== START logs for container c of pod \n==== END logs for container c of pod \n", "-- _nodes/n/configz.json --\n{\"kubeletconfig\":{}}\n",
	"-- _nodes/n/host/ --\nx\n-- _nodes/n/host/a//b --\nx\n-- _nodes//host/a --\nx\n-- _nodes/host/a --\n", "-- a/p/metrics/20261126T011203.000Z.prom --\nup 1\n-- a/p/metrics/20261126T011203.000000Z.prom --\nup 2\n-- a/p/metrics/00000101T000000.000Z.prom --\n", "-- a/p/proxy/8181/ready --\nOK\n-- a/p/proxy/9153/../x --\n-- //proxy// --\nx",
	"-- _probe/answers.json --\n[{\"records\":[],\"kind\":\"\u001b\",\"took\":-1}, null, {\"pod\":\"/\",\"took\":1.5e3}]\n", "-- _probe/answers.json --\nnull\n", "-- _probe/answers.json --\n{}\n",
	"-- ///.log --\nx\n-- //.log --\nx\n-- /.previous.log --\n-- a/b/.log --\nx", "-- objects.yaml --\nkind: List\nitems:\n- {kind: Node, metadata: {name: n}}\n---\n---\nnull\n",
	"-- objects.yaml --\nkind: List\nitems: [{kind: List, items: [{kind: Secret}]}]\n", "-- objects.yaml --\na: &a [*a]\n", "-- objects.yaml --\n{\"kind\":\"PodList\",\"items\":null}{}\n",
	"-- events.json --\n{\"items\":[{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"kind\":\"Pod\"},\"count\":-1,\"series\":{\"count\":-1}}]}\n", "-- nodes.json --\n{\"items\":[{\"kind\":\"Pod\"}]}\n",
}

// FuzzFiles gives any files as a bundle. Their order does not matter, and what is no API
// object is the same when it is written out and read again.
func FuzzFiles(f *testing.F) {
	for _, text := range hostileFiles {
		f.Add([]byte(text))
	}
	for _, b := range seeds.All(f)[:3] {
		f.Add(txtar.Format(small(b)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var list []File
		for _, file := range txtar.Parse(text).Files {
			list = append(list, File{file.Name, file.Data})
		}
		s, err := LoadFiles(list)
		if (s == nil) != (err != nil) {
			t.Fatalf("got %v and %v", s, err)
		}
		if ambiguous(list) {
			return
		}
		slices.Reverse(list)
		reversed, reversedErr := LoadFiles(list)
		if (err == nil) != (reversedErr == nil) {
			t.Fatalf("got %v, in reverse order %v", err, reversedErr)
		}
		if err != nil {
			return
		}
		if d := cmp.Diff(s, reversed, cmpopts.IgnoreUnexported(Snapshot{}), anyOrder); d != "" {
			t.Errorf("(-in order +in reverse order):\n%s", d)
		}
		rewritten(t, s)
	})
}

// anyOrder compares lists of objects, which stand in the order of their files.
var anyOrder = cmp.Options{
	cmpopts.SortSlices(func(a, b *Pod) bool { return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name }),
}

// small is a bundle as an archive, without its long files.
func small(b seeds.Bundle) *txtar.Archive {
	a := new(txtar.Archive)
	for name, data := range b {
		if len(data) < 3<<10 {
			a.Files = append(a.Files, txtar.File{Name: name, Data: data})
		}
	}
	slices.SortFunc(a.Files, func(x, y txtar.File) int { return strings.Compare(x.Name, y.Name) })
	return a
}

// ambiguous tells whether two files say what is one thing in the snapshot.
func ambiguous(list []File) bool {
	seen := map[string]bool{}
	for _, f := range list {
		dir, base := path.Split(f.Name)
		switch {
		case base == "logs.txt" || base == "objects.yaml":
			return true
		case strings.Contains(dir, "/proxy/"):
			base = path.Clean("/" + base)
		case strings.HasSuffix(base, ".log") && strings.Contains(strings.TrimSuffix(strings.TrimSuffix(base, ".log"), ".previous"), "."):
			return true // no container has such a name
		}
		if seen[dir+base] || path.Clean(f.Name) != f.Name {
			return true
		}
		seen[dir+base] = true
	}
	return false
}

// rewritten writes a snapshot without its API objects, and reads it again.
func rewritten(t *testing.T, s *Snapshot) {
	t.Helper()
	var list []File
	err := new(Recorder).WriteTo(s, func(name string, size int64, body io.Reader) error {
		data, err := io.ReadAll(body)
		if err == nil && int64(len(data)) != size {
			t.Errorf("%s: %d bytes are %d", name, size, len(data))
		}
		list = append(list, File{name, data})
		return err
	})
	if err != nil {
		t.Fatalf("it was read and cannot be written: %v", err)
	}
	again, err := LoadFiles(list)
	if err != nil {
		t.Fatalf("it was written and cannot be read: %v", err)
	}
	objects := cmp.FilterPath(func(p cmp.Path) bool {
		return p.Index(-2).Type() == reflect.TypeFor[Snapshot]() && p.Last().Type().Kind() == reflect.Slice
	}, cmp.Ignore())
	if d := cmp.Diff(s, again, cmpopts.IgnoreUnexported(Snapshot{}), cmpopts.IgnoreFields(Snapshot{}, "Unheard"), objects, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-read +written and read):\n%s", d)
	}
}

// FuzzArchive gives any bytes as a tar archive, packed by gzip or as a .tar.gz themselves.
// What is accepted holds what the same files hold without the archive, in their folder.
func FuzzArchive(f *testing.F) {
	for _, text := range hostileFiles {
		f.Add(tarred(f, txtar.Parse([]byte(text))), true)
	}
	for _, b := range seeds.All(f)[:3] {
		f.Add(tarred(f, small(b)), true)
	}
	manifest := entry{name: "b/bundle.json", text: manifestText}
	for _, e := range []entry{
		{name: "b/../../x", text: "x"}, {name: "./b/./nodes.json", text: nodeList}, {name: "b", kind: tar.TypeDir}, {name: "b/l", kind: tar.TypeSymlink, link: "/etc/passwd"},
		{name: "b/pods.json", text: podList}, {name: "nodes.json", text: nodeList}, {name: strings.Repeat("b/", 99) + "x"}, {name: "b\x00/nodes.json"}, {name: `b\nodes.json`},
	} {
		var out bytes.Buffer
		archive := tar.NewWriter(&out)
		for _, e := range []entry{manifest, e} {
			h := &tar.Header{Typeflag: e.kind, Name: e.name, Linkname: e.link, Size: int64(len(e.text)), Mode: 0o644}
			if archive.WriteHeader(h) == nil {
				_, _ = archive.Write([]byte(e.text))
			}
		}
		f.Add(out.Bytes(), true)
	}
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), false)
	name := filepath.Join(f.TempDir(), "bundle.tar.gz")
	bounds := usualLimits()
	bounds.archive = 1 << 20
	f.Fuzz(func(t *testing.T, data []byte, zip bool) {
		packed := data
		if zip {
			packed = zipped(t, data)
		}
		if err := os.WriteFile(name, packed, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := load(name, bounds)
		if err != nil {
			if s != nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v and error %q, which does not name the file", s, err)
			}
			return
		}
		if !zip {
			return
		}
		files, manifest := unpacked(t, data)
		if !manifest {
			return
		}
		want, err := LoadFiles(files)
		if err != nil {
			t.Fatalf("the archive is accepted and its files are not: %v", err)
		}
		if d := cmp.Diff(want, s, cmpopts.IgnoreUnexported(Snapshot{})); d != "" {
			t.Errorf("(-files +archive):\n%s", d)
		}
	})
}

func tarred(t testing.TB, a *txtar.Archive) []byte {
	t.Helper()
	var out bytes.Buffer
	to := tar.NewWriter(&out)
	for _, file := range a.Files {
		if strings.HasSuffix(file.Name, "/") {
			continue // a directory to tar
		}
		if err := to.WriteHeader(&tar.Header{Name: file.Name, Size: int64(len(file.Data)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(file.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	to, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpacked returns the regular files of the folder in which the manifest stands, and
// whether one does. Of objects.yaml an archive knows nothing.
func unpacked(t *testing.T, data []byte) (files []File, manifest bool) {
	t.Helper()
	top := ""
	var all []File
	for archive := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("an archive that cannot be read is accepted: %v", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatalf("an archive that cannot be read is accepted: %v", err)
		}
		name := path.Clean(h.Name)
		if strings.HasPrefix(name, "../") || path.IsAbs(name) {
			t.Fatalf("an archive with %q is accepted", h.Name)
		}
		if base := path.Base(name); (base == manifestFile || base == "nodes.json") && (top == "" || strings.Count(name, "/") < strings.Count(top, "/")) {
			top = name
		}
		all = append(all, File{name, text})
	}
	for _, f := range all {
		in, ok := strings.CutPrefix(f.Name, path.Dir(top)+"/")
		if path.Dir(top) == "." {
			in, ok = f.Name, true
		}
		if ok && in != "objects.yaml" {
			files = append(files, File{in, f.Data})
			manifest = manifest || in == manifestFile
		}
	}
	return files, manifest
}
