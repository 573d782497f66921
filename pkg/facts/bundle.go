package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
	"time"

	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
)

// BundleVersion is the version of the bundle format that this package writes, and the
// latest that it reads.
const BundleVersion = 1

// Manifest is bundle.json: what the bundle is and which sources were read for it.
type Manifest struct {
	Bundle  int       `json:"bundle"`
	Taken   time.Time `json:"taken"`
	Server  string    `json:"server"`
	Depth   string    `json:"depth,omitempty"` // how deep was looked; without it, as deep as Sources go
	Scope   string    `json:"namespace,omitempty"`
	Sources []string  `json:"sources"`
}

const (
	manifestFile = "bundle.json"
	gapsFile     = "gaps.json"
	nodesDir     = "_nodes"

	maxListBytes = 4 << 30   // one list; 150,000 pods of 6 KiB are 0.9 GiB
	maxTextBytes = 64 << 20  // one log as cluster-info dump writes it, whole
	keptLogBytes = 256 << 10 // what is kept of a log: its end
	maxFiles     = 2_000_000
)

// reader takes the files of a bundle one by one, in any order, and builds a snapshot.
type reader struct {
	b        *Builder
	manifest *Manifest
	gaps     map[string]string
	seen     map[*Source]bool
	files    int
}

func newReader() *reader {
	return &reader{b: NewBuilder(time.Time{}, "", API), seen: map[*Source]bool{}}
}

// add reads one file. name is its slash-separated path inside the bundle.
func (r *reader) add(name string, size int64, body io.Reader) error {
	if r.files++; r.files > maxFiles {
		return fmt.Errorf("more than %d files", maxFiles)
	}
	parts := strings.Split(name, "/")
	base := parts[len(parts)-1]
	switch {
	case name == manifestFile:
		return r.addManifest(body)
	case name == gapsFile:
		return decodeJSON(body, &r.gaps)
	case parts[0] == nodesDir:
		return r.addNodeFile(parts[1:], body)
	case len(parts) <= 2 && strings.HasSuffix(base, ".json"):
		return r.addList(strings.TrimSuffix(base, ".json"), size, body)
	case len(parts) == 3 && strings.HasSuffix(base, ".log"):
		return r.addLog(parts[0], parts[1], strings.TrimSuffix(base, ".log"), body)
	case len(parts) == 3 && base == "logs.txt":
		return r.addDumpLog(parts[0], parts[1], body)
	case len(parts) > 4 && parts[2] == "proxy":
		return r.addProxy(parts, body)
	}
	return nil // a file of another tool, or of a later minor version
}

func (r *reader) addManifest(body io.Reader) error {
	r.manifest = new(Manifest)
	if err := decodeJSON(body, r.manifest); err != nil {
		return err
	}
	switch v := r.manifest.Bundle; {
	case v > BundleVersion:
		return fmt.Errorf("bundle version %d is later than this netdoctor reads (%d): update netdoctor", v, BundleVersion)
	case v < 1:
		return errors.New(`"bundle" must hold the format's version, a number from 1`)
	}
	return nil
}

func (r *reader) addList(resource string, size int64, body io.Reader) error {
	src := sourceNamed(resource)
	if src == nil || !src.Object() {
		return nil
	}
	if size > maxListBytes {
		return fmt.Errorf("%d bytes are more than a list may have (%d)", size, int64(maxListBytes))
	}
	r.seen[src] = true
	return decodeList(body, func(raw json.RawMessage) error {
		obj := New(src)
		if err := json.Unmarshal(raw, obj); err != nil {
			return err
		}
		return r.b.Add(obj)
	})
}

func (r *reader) addLog(namespace, pod, container string, body io.Reader) error {
	text, err := tail(body)
	if err != nil {
		return err
	}
	r.seen[PodLogs] = true
	container, previous := strings.CutSuffix(container, ".previous")
	log := r.b.s.Logs[namespace+"/"+pod+"/"+container]
	if previous {
		log.Previous = text
	} else {
		log.Current = text
	}
	r.b.AddLog(namespace, pod, container, log)
	return nil
}

func (r *reader) addProxy(parts []string, body io.Reader) error {
	text, err := readText(body)
	if err != nil {
		return err
	}
	r.seen[Proxy] = true
	r.b.AddProxy(parts[0], parts[1], parts[3], path.Join(parts[4:]...), text)
	return nil
}

func (r *reader) addNodeFile(parts []string, body io.Reader) error {
	switch {
	case len(parts) == 2 && parts[1] == "configz.json":
		config, err := DecodeConfigz(body)
		if err != nil {
			return err
		}
		r.seen[Configz] = true
		r.b.AddConfigz(parts[0], config)
	case len(parts) > 2 && parts[1] == "host":
		text, err := readText(body)
		if err != nil {
			return err
		}
		r.seen[Files] = true
		r.b.AddFile(parts[0], "/"+strings.Join(parts[2:], "/"), text)
	}
	return nil
}

// DecodeConfigz reads what a kubelet answers on /configz.
func DecodeConfigz(body io.Reader) (*kubeletv1beta1.KubeletConfiguration, error) {
	var answer struct {
		Config *kubeletv1beta1.KubeletConfiguration `json:"kubeletconfig"`
	}
	if err := decodeJSON(body, &answer); err != nil {
		return nil, err
	}
	if answer.Config == nil {
		return nil, errors.New(`no "kubeletconfig" in it`)
	}
	return answer.Config, nil
}

// finish settles what was read, what is empty and what is missing.
func (r *reader) finish() (*Snapshot, error) {
	if r.manifest == nil {
		return r.finishForeign()
	}
	named := map[string]bool{}
	for _, name := range r.manifest.Sources {
		named[name] = true
	}
	s := r.b.s
	s.Taken, s.Server, s.Scope = r.manifest.Taken, r.manifest.Server, r.manifest.Scope
	maps.Copy(s.Gaps, r.gaps)
	for _, src := range Sources() {
		switch {
		case named[src.Name]:
			s.Depth = max(s.Depth, src.Depth)
		case s.Gaps[src.Name] == "":
			s.Gaps[src.Name] = "the bundle does not hold it"
		}
	}
	if r.manifest.Depth != "" {
		depth, err := ParseDepth(r.manifest.Depth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", manifestFile, err)
		}
		s.Depth = depth
	}
	return r.b.Build(), nil
}

// finishForeign completes a directory that kubectl cluster-info dump wrote: what is
// absent was not read.
func (r *reader) finishForeign() (*Snapshot, error) {
	if !r.seen[Nodes] && !r.seen[Pods] {
		return nil, errors.New("neither bundle.json nor the nodes.json and pods.json of a kubectl cluster-info dump are in it")
	}
	s := r.b.s
	for _, src := range Sources() {
		if !r.seen[src] {
			s.Gaps[src.Name] = "kubectl cluster-info dump does not write it"
		}
	}
	s.Depth = Logs
	for _, p := range s.Pods {
		s.Taken = later(s.Taken, p.Created)
		for _, c := range p.Containers {
			s.Taken = later(later(s.Taken, c.State.Started), c.Last.Finished)
		}
	}
	for _, e := range s.Events {
		s.Taken = later(s.Taken, e.LastTimestamp.Time)
	}
	return r.b.Build(), nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
