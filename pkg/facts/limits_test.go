package facts

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A file as large as no bundle has is refused by its size, unread.
func TestLoadRefusesHugeFiles(t *testing.T) {
	for _, tt := range []struct {
		file string
		most int64
	}{
		{"pods.json", usualLimits().list},
		{"bundle.json", usualLimits().text},
		{"a/p/c.log", usualLimits().text},
		{"a/p/logs.txt", usualLimits().text},
		{"a/p/proxy/9153/metrics", usualLimits().text},
		{"_nodes/n1/configz.json", usualLimits().text},
		{"_nodes/n1/host/etc/resolv.conf", usualLimits().text},
	} {
		t.Run(tt.file, func(t *testing.T) {
			dir := writeDir(t, map[string]string{tt.file: ""})
			path := filepath.Join(dir, tt.file)
			if err := os.Truncate(path, tt.most+1); err != nil {
				t.Skipf("no sparse files here: %v", err)
			}
			s, err := Load(dir)
			refused(t, s, err, fmt.Sprintf("reading bundle: %s: %d bytes are more than such a file may have (%d)", path, tt.most+1, tt.most))
		})
	}
}

func TestLoadIgnoresHugeForeignFiles(t *testing.T) {
	dir := writeDir(t, map[string]string{"bundle.json": manifestText, "core.dump": "", "a/replicasets.json": ""})
	for _, name := range []string{"core.dump", "a/replicasets.json"} {
		if err := os.Truncate(filepath.Join(dir, name), usualLimits().list+1); err != nil {
			t.Skipf("no sparse files here: %v", err)
		}
	}
	if _, err := Load(dir); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("x", 1000)
	entries := []entry{
		{name: "bundle.json", text: manifestText},
		{name: "_nodes/n1/host/etc/a", text: long},
		{name: "_nodes/n1/host/etc/b", text: long},
		{name: "a/p/c.log", text: long},
		{name: "a/p/proxy/8181/ready", text: long},
	}
	files := map[string]string{}
	for _, e := range entries {
		files[e.name] = e.text
	}
	dir, archive := writeDir(t, files), write(t, "b.tar.gz", pack(t, entries...))
	for _, tt := range []struct {
		name, path string
		bound      func(*limits)
		want       string
	}{
		{"just enough", archive, func(l *limits) { l.kept, l.files, l.text, l.archive = 4000, 5, 1000, 8192 }, ""},
		{"files", archive, func(l *limits) { l.files = 4 }, "reading bundle %s: a/p/proxy/8181/ready: more than 4 files"},
		{"files of a directory", dir, func(l *limits) { l.files = 4 }, "reading bundle: %s/bundle.json: more than 4 files"},
		{"unpacked", archive, func(l *limits) { l.archive = 8191 }, "reading bundle %s: damaged archive: it unpacks to more than 8191 bytes"},
		{"kept", archive, func(l *limits) { l.kept = 3999 },
			"reading bundle %s: a/p/proxy/8181/ready: with it the logs and files of nodes are more than 3999 bytes"},
		{"kept files of nodes", archive, func(l *limits) { l.kept = 1999 },
			"reading bundle %s: _nodes/n1/host/etc/b: with it the logs and files of nodes are more than 1999 bytes"},
		{"kept logs", archive, func(l *limits) { l.kept = 2999 },
			"reading bundle %s: a/p/c.log: with it the logs and files of nodes are more than 2999 bytes"},
		{"text", archive, func(l *limits) { l.text = 999 },
			"reading bundle %s: _nodes/n1/host/etc/a: 1000 bytes are more than such a file may have (999)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bounds := usualLimits()
			tt.bound(&bounds)
			s, err := load(tt.path, bounds)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, s, err, fmt.Sprintf(tt.want, tt.path))
		})
	}
}

// Wherever a copy of a list ends, what is there of it is never taken for the list.
func TestTruncatedList(t *testing.T) {
	list := `{"kind":"List", "apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[
{"kind":"Node","metadata":{"name":"n1","labels":{"a":"\u00e9\\"}}},
{"kind":"Node","metadata":{"name":"n2"},"spec":{"unschedulable":true}}
],"more":[1,-2.5e3,null]}`
	if s := loadFiles(t, map[string]string{"nodes.json": list}); len(s.Nodes) != 2 {
		t.Fatalf("got %d nodes of the whole list, want 2", len(s.Nodes))
	}
	for i := range len(list) {
		s, err := LoadFiles([]File{{"nodes.json", []byte(list[:i])}})
		if s != nil || err == nil {
			t.Errorf("cut after %d bytes: got no error", i)
			continue
		}
		if got, want := err.Error(), "nodes.json: truncated: the JSON ends too early"; got != want {
			t.Errorf("cut after %d bytes: got %s, want %s", i, got, want)
		}
	}
}

// Wherever the copy of an archive ends, even in its checksum, it is damaged.
func TestTruncatedArchive(t *testing.T) {
	whole := pack(t, entry{name: "bundle.json", text: manifestText}, entry{name: "nodes.json", text: nodeList}, entry{name: "a/pods.json", text: podList})
	path := write(t, "b.tar.gz", whole)
	if _, err := Load(path); err != nil {
		t.Fatal(err)
	}
	damaged := "reading bundle " + path + ": damaged archive: unexpected EOF"
	for i := len(whole) - 1; i > 10; i-- {
		if err := os.Truncate(path, int64(i)); err != nil {
			t.Fatal(err)
		}
		s, err := Load(path)
		refused(t, s, err, damaged)
	}
}

// A bit that flipped on the way is noticed even where the archive still unpacks.
func TestChecksum(t *testing.T) {
	data := pack(t, entry{name: "bundle.json", text: manifestText})
	data[len(data)-8] ^= 1
	path := write(t, "b.tar.gz", data)
	s, err := Load(path)
	refused(t, s, err, "reading bundle "+path+": damaged archive: gzip: invalid checksum")
}

// Of a log its end is kept, from the start of a line.
func TestLongLog(t *testing.T) {
	line := strings.Repeat("x", 99) + "\n"
	for _, tt := range []struct {
		name, log string
		want      int
	}{
		{"as long as may be", strings.Repeat("y", keptLogBytes), keptLogBytes},
		{"longer", strings.Repeat(line, 3000), keptLogBytes / 100 * 100},
		{"one line", strings.Repeat("z", keptLogBytes+7), keptLogBytes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := loadFiles(t, map[string]string{"a/p/c.log": tt.log, "a/p/c.previous.log": tt.log})
			log := s.Logs["a/p/c"]
			if len(log.Current) != tt.want || log.Previous != log.Current || !strings.HasSuffix(tt.log, log.Current) {
				t.Errorf("got %d and %d bytes, want %d", len(log.Current), len(log.Previous), tt.want)
			}
		})
	}
}

// What the bundle says it has not read whole is not used, even if a file is there.
func TestGapBesideFile(t *testing.T) {
	gaps, err := json.Marshal(map[string]string{"pods": "timed out", "logs/a/p": "forbidden"})
	if err != nil {
		t.Fatal(err)
	}
	s := loadFiles(t, map[string]string{"bundle.json": manifestText, "gaps.json": string(gaps), "pods.json": podList,
		"services.json": `{"items":[{"metadata":{"name":"s"}}]}`})
	if len(s.Pods)+len(s.Services) != 0 {
		t.Errorf("got %d pods and %d Services of sources with a gap", len(s.Pods), len(s.Services))
	}
	for _, tt := range []struct {
		src  *Source
		want string
	}{{Pods, "timed out"}, {Services, "the bundle does not hold it"}, {Nodes, ""}} {
		if got := s.Missing(tt.src); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.src, got, tt.want)
		}
	}
}

// What a bundle says nothing of is a gap. Of a source that the first releases did not
// know it says nothing because it was captured by one of these.
func TestOlderBundle(t *testing.T) {
	const policies = `{"items":[{"metadata":{"namespace":"a","name":"np"}}]}`
	for name, tt := range map[string]struct {
		files   map[string]string
		unheard bool
		want    string
	}{
		"says nothing":        {unheard: true, want: "the bundle was captured by a netdoctor that did not read them yet"},
		"says why":            {files: map[string]string{"gaps.json": `{"networkpolicies":"forbidden"}`}, want: "forbidden"},
		"holds an unread one": {files: map[string]string{"a/networkpolicies.json": policies}, want: "the bundle does not hold it"},
		"has read them": {files: map[string]string{"a/networkpolicies.json": policies,
			"bundle.json": `{"bundle":1,"taken":"2026-07-01T12:00:00Z","sources":["networkpolicies"]}`}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"bundle.json": manifestText}
			maps.Copy(files, tt.files)
			s := loadFiles(t, files)
			if got := s.Missing(NetworkPolicies); got != tt.want || s.Unheard[NetworkPolicies.Name] != tt.unheard {
				t.Errorf("got %q, unheard %v, want %q", got, s.Unheard, tt.want)
			}
			if read := len(s.NetworkPolicies) == 1; read != (tt.want == "") {
				t.Errorf("got %d NetworkPolicies", len(s.NetworkPolicies))
			}
			if later := s.Without(NetworkPolicies, "forbidden"); later.Unheard[NetworkPolicies.Name] || later.Missing(NetworkPolicies) != "forbidden" {
				t.Errorf("taken away: got %q, unheard %v", later.Missing(NetworkPolicies), later.Unheard)
			}
			if other := s.Without(Nodes, "forbidden"); other.Unheard[NetworkPolicies.Name] != tt.unheard || s.Unheard[Services.Name] {
				t.Error("another source's absence changed it")
			}
		})
	}
}
