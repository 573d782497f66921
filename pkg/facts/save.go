package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-netdoctor/netdoctor/pkg/redact"
)

// lastApplied holds a copy of a whole object, with everything that was cut from the
// object itself.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// scrapeName is the name of a file with a pod's metrics: the time of the answer, in a form
// that every file system takes.
const scrapeName = "20060102T150405.000Z.prom"

// Recorder collects API objects as they are read, for a bundle. It is not safe for
// concurrent use.
type Recorder struct {
	lists map[string]*packed // by path in the bundle
	packer
}

// Record keeps a redacted copy of an object: without managedFields, without annotations that
// hold a copy of it, without values of headers and of environment
// variables but switches, without what
// has the form or the name of a secret. ConfigMaps outside the network stack's namespaces
// are left out.
func (r *Recorder) Record(src *Source, obj runtime.Object) error {
	obj = obj.DeepCopyObject()
	meta, ok := obj.(metav1.Object)
	if !ok {
		return fmt.Errorf("recording a %T: not an API object", obj)
	}
	if src == ConfigMaps && !SystemNamespace(meta.GetNamespace()) {
		return nil
	}
	withoutSecrets(meta)
	obj.GetObjectKind().SetGroupVersionKind(gvk(src))
	data, err := json.Marshal(obj)
	if err != nil {
		return fmt.Errorf("recording %s %s: %w", src.Kind, meta.GetName(), err)
	}
	data = []byte(redact.Strings(string(readable(data))))
	name := src.Name + ".json"
	if src.Namespaced {
		name = meta.GetNamespace() + "/" + name
	}
	if r.lists == nil {
		r.lists = map[string]*packed{}
	}
	if r.lists[name] == nil {
		r.lists[name] = new(packed)
	}
	return r.append(r.lists[name], data)
}

// readable brings times back into the years that can be read again: the API takes
// 9999-12-31T23:59:59-23:59, which is the year 10000 in UTC, as in which it is written.
func readable(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte(`"10000-01-01T`), []byte(`"9999-12-31T`))
	return bytes.ReplaceAll(data, []byte(`"-0001-12-31T`), []byte(`"0000-01-01T`))
}

// Merge takes over what another recorder holds, which is then spent. Either may be nil.
func (r *Recorder) Merge(from *Recorder) error {
	if from == nil {
		return nil
	}
	if err := errors.Join(r.flush(), from.flush()); err != nil {
		return err
	}
	if r.lists == nil {
		r.lists = map[string]*packed{}
	}
	for name, list := range from.lists {
		if r.lists[name] == nil {
			r.lists[name] = list
			continue
		}
		r.lists[name].items += list.items
		r.lists[name].text.Write(list.text.Bytes())
	}
	return nil
}

func withoutSecrets(obj metav1.Object) {
	obj.SetManagedFields(nil)
	redactTexts(obj)
}

func gvk(src *Source) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: src.Group, Version: src.Version, Kind: src.Kind}
}

// Entry is one file of a bundle: Open begins it anew each time, Size is its bytes.
type Entry struct {
	Name string
	Size int64
	Open func() (io.Reader, error)
}

// Entries returns the files of a bundle in a fixed order: what was recorded, and everything
// of the snapshot that is not an API object. Nothing may be recorded from then on.
func (r *Recorder) Entries(s *Snapshot) ([]Entry, error) {
	if err := r.flush(); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	if err := snapshotFiles(s, files); err != nil {
		return nil, err
	}
	var out []Entry
	for name, text := range files {
		if r.lists[name] == nil {
			out = append(out, Entry{name, int64(len(text)), func() (io.Reader, error) { return bytes.NewReader(text), nil }})
		}
	}
	for name, list := range r.lists {
		out = append(out, Entry{name, list.size(), list.reader})
	}
	slices.SortFunc(out, func(x, y Entry) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

// WriteTo hands the files of a bundle to write, each with its size in bytes.
func (r *Recorder) WriteTo(s *Snapshot, write func(name string, size int64, body io.Reader) error) error {
	entries, err := r.Entries(s)
	if err != nil {
		return err
	}
	for _, e := range entries {
		body, err := e.Open()
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		if err := write(e.Name, e.Size, body); err != nil {
			return err
		}
	}
	return nil
}

func snapshotFiles(s *Snapshot, files map[string][]byte) error {
	manifest := Manifest{Bundle: BundleVersion, Taken: s.Taken.UTC(), Server: s.Server, Depth: s.Depth.String(), Scope: s.Scope, Sampled: s.Sampled}
	for _, src := range Sources() {
		if s.Missing(src) == "" {
			manifest.Sources = append(manifest.Sources, src.Name)
		}
	}
	for key, log := range s.Logs {
		files[key+".log"] = []byte(redact.Log(log.Current))
		if log.Previous != "" {
			files[key+".previous.log"] = []byte(redact.Log(log.Previous))
		}
	}
	for node, config := range s.Configz {
		data, err := json.Marshal(map[string]any{"kubeletconfig": withoutHeaders(config)})
		if err != nil {
			return fmt.Errorf("saving configz of node %s: %w", node, err)
		}
		files[nodesDir+"/"+node+"/configz.json"] = []byte(redact.Strings(string(data)))
	}
	for node, byPath := range s.Files {
		for path, text := range byPath {
			files[nodesDir+"/"+node+"/host"+path] = []byte(redact.Log(text))
		}
	}
	for name, list := range map[string]any{answersFile: s.Answers, triesFile: s.Tries} {
		data, err := json.MarshalIndent(list, "", " ")
		if err != nil {
			return fmt.Errorf("saving %s: %w", name, err)
		}
		if string(data) != "null" {
			files[name] = []byte(redact.Strings(string(data)))
		}
	}
	for key, scrapes := range s.Metrics {
		for _, scrape := range scrapes {
			files[key+"/metrics/"+scrape.At.Format(scrapeName)] = []byte(redact.Log(scrape.Text))
		}
	}
	for key, body := range s.Proxy {
		namespace, rest, _ := strings.Cut(key, "/")
		pod, rest, _ := strings.Cut(rest, "/")
		files[namespace+"/"+pod+"/proxy/"+rest] = []byte(redact.Log(body))
	}
	var err error
	if files[manifestFile], err = json.MarshalIndent(manifest, "", "  "); err != nil {
		return err
	}
	gaps, err := json.MarshalIndent(s.Gaps, "", "  ")
	files[gapsFile] = []byte(redact.Strings(string(gaps)))
	return err
}
