package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// File is one file of a bundle that stands in memory.
type File struct {
	Name string // slash-separated, relative
	Data []byte
}

// fixtureTaken is when a fixture without bundle.json was taken: long after any object
// without a creation time came to be.
var fixtureTaken = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// LoadFiles reads a bundle from memory. Beside the paths of a bundle it takes
// objects.yaml with objects of any kind. Without bundle.json every API source counts
// as read, and every deeper source of which a file is there.
func LoadFiles(files []File) (*Snapshot, error) {
	r := newReader(usualLimits())
	for _, f := range files {
		var err error
		if f.Name == "objects.yaml" {
			err = r.addObjects(bytes.NewReader(f.Data))
		} else {
			err = r.add(f.Name, int64(len(f.Data)), bytes.NewReader(f.Data))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if r.manifest == nil {
		r.manifest = &Manifest{Bundle: BundleVersion, Taken: fixtureTaken, Server: "v1.37.2"}
		for _, src := range Sources() {
			if src.Object() || r.seen[src] {
				r.manifest.Sources = append(r.manifest.Sources, src.Name)
			}
		}
	}
	return r.finish()
}

func (r *reader) addObjects(body io.Reader) error { return Documents(body, r.addObject) }

// Documents calls add with each YAML document of a text, as JSON; those in which nothing
// stands are left out. The error is the first of add's, or says where the text is no YAML.
func Documents(body io.Reader, add func(json.RawMessage) error) error {
	dec := utilyaml.NewYAMLOrJSONDecoder(body, 4096)
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		if err := add(raw); err != nil {
			return err
		}
	}
}

func (r *reader) addObject(raw json.RawMessage) error {
	var meta struct {
		Kind  string            `json:"kind"`
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		return err
	}
	if strings.HasSuffix(meta.Kind, "List") {
		for _, item := range meta.Items {
			if err := r.addObject(item); err != nil {
				return err
			}
		}
		return nil
	}
	src := sourceOfKind(meta.Kind)
	if src == nil {
		return fmt.Errorf("no source holds objects of kind %q", meta.Kind)
	}
	if err := r.addItem(src, raw); err != nil {
		return fmt.Errorf("%s: %w", meta.Kind, err)
	}
	return nil
}
