package facts

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"
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
	// Sampled names the sources of which a sample was asked.
	Sampled map[string]Sample `json:"sampled,omitempty"`
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
	case !writable(r.manifest.Taken):
		return errors.New(`"taken" must lie in the years 0 to 9999 of UTC`)
	}
	return nil
}

// writable tells whether a time can be written as JSON and read again. Where its zone lies
// far from UTC, one that can be read may fall out of the years that have four digits.
func writable(t time.Time) bool {
	year := t.UTC().Year()
	return 0 <= year && year <= 9999
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
	s.Sampled = r.manifest.Sampled
	for key, why := range r.gaps {
		s.Gaps[key] = cmp.Or(why, noReason)
	}
	for _, src := range Sources() {
		switch {
		case named[src.Name]:
			s.Depth = max(s.Depth, src.Depth)
		case s.Gaps[src.Name] == "" && src.Later && !r.seen[src]:
			if s.Unheard == nil {
				s.Unheard = map[string]bool{}
			}
			s.Unheard[src.Name] = true
			s.Gaps[src.Name] = "the bundle was captured by a netdoctor that did not read them yet"
		case s.Gaps[src.Name] == "":
			s.Gaps[src.Name] = "the bundle does not hold it"
		}
		if s.Missing(src) != "" {
			s.drop(src) // what is there of it may be a part
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
