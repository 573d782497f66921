package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Fields of runtime.Unknown, the envelope that Kubernetes puts every object in. An API
// server writes all four, in this order, even the empty ones.
const (
	typeMetaField        protowire.Number = 1
	rawField             protowire.Number = 2
	contentEncodingField protowire.Number = 3
	contentTypeField     protowire.Number = 4
)

// Fields that all lists have in common.
const (
	listMetaField protowire.Number = 1
	itemsField    protowire.Number = 2
)

// magic is what Kubernetes' protobuf begins with, and no protobuf without an envelope.
var magic = []byte("k8s\x00")

// bufferSize bounds the items that are handed on without copying them.
const bufferSize = 128 << 10

const errCut = truncated("truncated: the protobuf ends too early")

var (
	errOverrun = errors.New("malformed protobuf: a field is longer than what it is part of")
	errGroup   = errors.New("malformed protobuf: a group, which Kubernetes does not use")
)

// Protobuf walks a list in the encoding application/vnd.kubernetes.protobuf and calls
// each with every item, in the protobuf encoding of its kind and without an envelope.
// See the package for what it promises.
//
// Fields of the envelope or the list that are not known are skipped. It is stricter than
// the generated decoders: a field of the envelope that is missing, as all are that
// followed a cut, or comes twice is an error, and so are groups and a content that is
// encoded or of another type. Within the two metadata it accepts what those accept.
//
// A Status is told apart by the kind before it; if its kind came behind it, as no known
// server sends it, the words of the Status are lost and each may have been called.
func Protobuf(r io.Reader, each func(item []byte) error) (Head, error) {
	d := decoder{in: bufio.NewReaderSize(&source{in: r}, bufferSize), left: math.MaxInt64, each: each}
	err := d.envelope()
	return d.head, err
}

// decoder is one walk through one list.
type decoder struct {
	in      *bufio.Reader
	left    int64 // bytes to the end of the message that in stands in; the envelope has no known end
	scratch []byte
	each    func([]byte) error
	items   int
	head    Head
	meta    metav1.ListMeta
	seen    [contentTypeField + 1]bool
}

func (d *decoder) envelope() error {
	if err := d.magic(); err != nil {
		return err
	}
	for {
		_, err := d.in.Peek(1)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return readError(err)
		}
		if err := d.envelopeField(); err != nil {
			return err
		}
	}
	if slices.Contains(d.seen[typeMetaField:], false) {
		return errCut
	}
	if d.head.Kind == statusKind {
		return statusError(&metav1.Status{})
	}
	return nil
}

func (d *decoder) magic() error {
	start, err := d.in.Peek(len(magic))
	if !bytes.HasPrefix(magic, start) {
		return fmt.Errorf("not Kubernetes' protobuf: it begins with %q", start)
	}
	if err != nil {
		return readError(err)
	}
	return d.discard(int64(len(magic)))
}

func (d *decoder) envelopeField() error {
	num, typ, err := d.tag()
	if err != nil {
		return err
	}
	if num > contentTypeField {
		return d.skip(typ)
	}
	if typ != protowire.BytesType {
		return wrongType(num, typ)
	}
	if d.seen[num] {
		return fmt.Errorf("malformed protobuf: the envelope has two fields %d", num)
	}
	d.seen[num] = true
	if num == rawField {
		return d.raw()
	}
	value, err := d.bytes()
	if err != nil {
		return err
	}
	switch {
	case num == typeMetaField:
		return d.typeMeta(value)
	case num == contentEncodingField && len(value) > 0:
		return fmt.Errorf("the list is encoded once more, as %.40q", value)
	case num == contentTypeField && len(value) > 0 && string(value) != runtime.ContentTypeProtobuf:
		return fmt.Errorf("the list is not protobuf but %.40q", value)
	}
	return nil
}

func (d *decoder) typeMeta(value []byte) error {
	var meta runtime.TypeMeta
	if err := meta.Unmarshal(value); err != nil {
		return malformed(err)
	}
	d.head.APIVersion, d.head.Kind = meta.APIVersion, meta.Kind
	return nil
}

// raw reads the list, or the Status in its place.
func (d *decoder) raw() error {
	if d.head.Kind == statusKind {
		return d.status()
	}
	n, err := d.length()
	if err != nil {
		return err
	}
	outside := d.left - n
	d.left = n
	for d.left > 0 {
		if err := d.listField(); err != nil {
			return err
		}
	}
	d.left = outside
	d.head.setMeta(&d.meta)
	return nil
}

func (d *decoder) status() error {
	value, err := d.bytes()
	if err != nil {
		return err
	}
	var status metav1.Status
	if err := status.Unmarshal(value); err != nil {
		return malformed(err)
	}
	return statusError(&status)
}

func (d *decoder) listField() error {
	num, typ, err := d.tag()
	if err != nil {
		return err
	}
	if num > itemsField {
		return d.skip(typ)
	}
	if typ != protowire.BytesType {
		return wrongType(num, typ)
	}
	value, err := d.bytes()
	if num == itemsField {
		if err == nil {
			err = d.each(value)
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", d.items, err)
		}
		d.items++
		return nil
	}
	if err != nil {
		return err
	}
	// A message that comes in parts is the parts joined, so meta is not emptied.
	if err := d.meta.Unmarshal(value); err != nil {
		return malformed(err)
	}
	return nil
}
