package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

func (d *decoder) tag() (protowire.Number, protowire.Type, error) {
	v, err := d.varint()
	if err != nil {
		return 0, 0, err
	}
	num, typ := protowire.DecodeTag(v)
	if !num.IsValid() {
		return 0, 0, errors.New("malformed protobuf: a field number out of range")
	}
	return num, typ, nil
}

func (d *decoder) varint() (uint64, error) {
	text, readErr := d.in.Peek(binary.MaxVarintLen64) // less than that comes with an error
	v, n := protowire.ConsumeVarint(text)
	if n >= 0 {
		return v, d.discard(int64(n))
	}
	if err := protowire.ParseError(n); !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, malformed(err)
	}
	return 0, readError(readErr)
}

// length reads how many bytes a field has. They are within the message around it.
func (d *decoder) length() (int64, error) {
	v, err := d.varint()
	if err != nil {
		return 0, err
	}
	if v > uint64(d.left) {
		return 0, errOverrun
	}
	return int64(v), nil
}

// bytes reads a field in one piece. It is valid until in is read again.
func (d *decoder) bytes() ([]byte, error) {
	n, err := d.length()
	if err != nil {
		return nil, err
	}
	if n > maxItem {
		return nil, tooLong(maxItem)
	}
	if n > bufferSize {
		return d.long(int(n))
	}
	value, err := d.in.Peek(int(n))
	if err != nil {
		return nil, readError(err)
	}
	return value, d.discard(n) // all of it is buffered, so nothing is read and value stays
}

// long reads what does not fit into the buffer of in. It makes room for no more than was
// there already, so that n bytes cost memory only after half of them came.
func (d *decoder) long(n int) ([]byte, error) {
	d.scratch = d.scratch[:0]
	for have := 0; have < n; {
		next := min(n, max(2*have, bufferSize))
		d.scratch = slices.Grow(d.scratch, next-have)[:next]
		m, err := io.ReadFull(d.in, d.scratch[have:])
		if err != nil {
			return nil, readError(err)
		}
		have += m
	}
	d.left -= int64(n)
	return d.scratch, nil
}

func (d *decoder) skip(typ protowire.Type) error {
	switch typ {
	case protowire.VarintType:
		_, err := d.varint()
		return err
	case protowire.Fixed32Type:
		return d.discard(4)
	case protowire.Fixed64Type:
		return d.discard(8)
	case protowire.BytesType:
		n, err := d.length()
		if err == nil && n > maxItem {
			err = tooLong(maxItem)
		}
		if err != nil {
			return err
		}
		return d.discard(n)
	case protowire.StartGroupType, protowire.EndGroupType:
		return errGroup
	}
	return fmt.Errorf("malformed protobuf: wire type %d", typ)
}

func (d *decoder) discard(n int64) error {
	if n > d.left {
		return errOverrun
	}
	d.left -= n
	_, err := d.in.Discard(int(n))
	return readError(err)
}

// readError makes one error of the ways in which an input ends early, and leaves others.
func readError(err error) error {
	if atEnd(err) {
		return errCut
	}
	return err
}

// malformed hides how err came about: a decoder says io.ErrUnexpectedEOF of a message
// that is wrong within its known length, and a cut input that is not.
func malformed(err error) error { return fmt.Errorf("malformed protobuf: %v", err) } //nolint:errorlint // see above

func wrongType(num protowire.Number, typ protowire.Type) error {
	if typ == protowire.StartGroupType || typ == protowire.EndGroupType {
		return errGroup
	}
	return fmt.Errorf("malformed protobuf: field %d has wire type %d", num, typ)
}
