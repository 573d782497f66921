package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const errJSONCut = truncated("truncated: the JSON ends too early")

// JSON walks a v1 List, or the list of one kind, in JSON and calls each with every item.
// See the package for what it promises. Fields may come in any order; those that are not
// known are skipped, and those that are may come only once. Names must be written as the
// API writes them. Items that are null are an empty list, because Go writes one so.
func JSON(r io.Reader, each func(item []byte) error) (Head, error) {
	return readJSON(r, maxItem, each)
}

// readJSON is JSON with another limit, in bytes, for a single value.
func readJSON(r io.Reader, limit int64, each func([]byte) error) (Head, error) {
	in := &bounded{in: bufio.NewReaderSize(&source{in: r}, 1<<16), limit: limit}
	in.dec = json.NewDecoder(in)
	d := jsonDecoder{dec: in.dec, limit: limit, each: each, fields: map[string]json.RawMessage{}}
	if err := d.object(); err != nil {
		return Head{}, err
	}
	head, err := d.head()
	switch {
	case err != nil:
		return head, err
	case head.Kind == statusKind:
		return head, d.status()
	case !d.found:
		return head, errors.New(`not a list: it has no "items"`)
	}
	return head, nil
}

// bounded keeps the decoder from holding much more than limit bytes: it refuses to read
// on once more than that were read since the last token.
type bounded struct {
	in    io.Reader
	dec   *json.Decoder
	read  int64
	limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.read-b.dec.InputOffset() > b.limit {
		return 0, tooLong(b.limit)
	}
	n, err := b.in.Read(p)
	b.read += int64(n)
	return n, err
}

// jsonDecoder is one walk through one list.
type jsonDecoder struct {
	dec    *json.Decoder
	limit  int64
	each   func([]byte) error
	found  bool                       // whether there are "items"
	fields map[string]json.RawMessage // the others that matter, as they came
	value  json.RawMessage            // used again for every item
}

// headField tells whether the head of a list, or a Status, has a field.
func headField(name string) bool {
	switch name {
	case "apiVersion", "kind", "metadata", "status", "message", "reason", "details", "code":
		return true
	}
	return false
}

// object reads the whole input.
func (d *jsonDecoder) object() error {
	if t, err := d.dec.Token(); err != nil || t != json.Delim('{') {
		return jsonError(err, "not a JSON object")
	}
	for d.dec.More() {
		t, err := d.dec.Token()
		if err != nil {
			return jsonError(err, "")
		}
		name, _ := t.(string) // the decoder lets nothing else be a name
		if err := d.field(name); err != nil {
			return err
		}
	}
	if _, err := d.dec.Token(); err != nil {
		return jsonError(err, "")
	}
	return d.end()
}

// end makes sure that nothing follows the list but white space.
func (d *jsonDecoder) end() error {
	_, err := d.dec.Token()
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil, errors.As(err, &syntax):
		return errors.New("something follows the list")
	}
	return jsonError(err, "")
}

func (d *jsonDecoder) field(name string) error {
	if _, ok := d.fields[name]; ok || name == "items" && d.found {
		return fmt.Errorf("the list has %q twice", name)
	}
	if name == "items" {
		d.found = true
		return d.items()
	}
	if err := d.next(); err != nil {
		return err
	}
	if headField(name) {
		d.fields[name] = append(json.RawMessage(nil), d.value...)
	}
	return nil
}

func (d *jsonDecoder) items() error {
	t, err := d.dec.Token()
	if t == nil && err == nil {
		return nil
	}
	if err != nil || t != json.Delim('[') {
		return jsonError(err, `"items" is not a list`)
	}
	for n := 0; d.dec.More(); n++ {
		if err := d.next(); err != nil {
			return err
		}
		if err := d.each(d.value); err != nil {
			return fmt.Errorf("item %d: %w", n, err)
		}
	}
	_, err = d.dec.Token()
	return jsonError(err, "")
}

// next reads one value.
func (d *jsonDecoder) next() error {
	if err := d.dec.Decode(&d.value); err != nil {
		return jsonError(err, "")
	}
	if int64(len(d.value)) > d.limit {
		return tooLong(d.limit)
	}
	return nil
}

func (d *jsonDecoder) head() (Head, error) {
	var list struct {
		APIVersion string          `json:"apiVersion"`
		Kind       string          `json:"kind"`
		Metadata   metav1.ListMeta `json:"metadata"`
	}
	err := d.decode(&list)
	head := Head{APIVersion: list.APIVersion, Kind: list.Kind}
	head.setMeta(&list.Metadata)
	if err != nil {
		return head, fmt.Errorf("what the list says about itself: %w", err)
	}
	return head, nil
}

func (d *jsonDecoder) status() error {
	var status metav1.Status
	if err := d.decode(&status); err != nil {
		return fmt.Errorf("not a list but a Status: %w", err)
	}
	return statusError(&status)
}

// decode reads the fields of the object but the items.
func (d *jsonDecoder) decode(into any) error {
	text, err := json.Marshal(d.fields)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// jsonError says what is wrong with a list in words for its owner. Without an error it
// returns the complaint, or nil where there is none.
func jsonError(err error, complaint string) error {
	var syntax *json.SyntaxError
	switch {
	case atEnd(err):
		return errJSONCut
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: %w", err)
	case err != nil:
		return err
	case complaint != "":
		return errors.New(complaint)
	}
	return nil
}
