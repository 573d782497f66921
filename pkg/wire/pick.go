package wire

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields says which fields of a protobuf message are wanted. The zero value wants all.
type Fields struct {
	// Only names the wanted fields by their numbers, each with what is wanted of it; nil
	// wants all of it.
	Only map[protowire.Number]*Fields
	// Without names those that are not wanted, where Only is not set.
	Without map[protowire.Number]*Fields
	// Key is the one entry that is wanted of a field which is a map of strings.
	Key string
}

// lengthBytes is how many bytes the length of a message takes that is not known before it
// is written. Decoders take a varint that is longer than it need be.
const lengthBytes = 4

var errMessage = errors.New("not a protobuf message")

// Pick appends to dst what is wanted of a message, so that the decoder allocates nothing
// for the rest, and returns the longer dst. The order of the fields stays. Messages inside
// that are picked from must be shorter than 256 MiB.
func Pick(dst, message []byte, want *Fields) ([]byte, error) {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return dst, errMessage
		}
		length := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if length < 0 {
			return dst, errMessage
		}
		field, value := message[:tag+length], message[tag:tag+length]
		message = message[tag+length:]
		of, wanted := want.of(number)
		switch {
		case !wanted:
		case of == nil:
			dst = append(dst, field...)
		case kind != protowire.BytesType:
			return dst, errMessage
		default:
			inner, _ := protowire.ConsumeBytes(value)
			var err error
			if dst, err = of.pickInto(dst, field[:tag], inner); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// of returns what is wanted of a field, nil for all of it.
func (f *Fields) of(number protowire.Number) (*Fields, bool) {
	if f.Only != nil {
		of, wanted := f.Only[number]
		return of, wanted
	}
	of, named := f.Without[number]
	return of, !named || of != nil
}

// pickInto appends a message that stands inside another, with its tag and length.
func (f *Fields) pickInto(dst, tag, inner []byte) ([]byte, error) {
	if f.Key != "" && mapKey(inner) != f.Key {
		return dst, nil
	}
	dst = append(dst, tag...)
	at := len(dst)
	dst = append(dst, make([]byte, lengthBytes)...)
	dst, err := Pick(dst, inner, f)
	if err != nil {
		return dst, err
	}
	length := len(dst) - at - lengthBytes
	if length >= 1<<(7*lengthBytes) {
		return dst, tooLong(1<<(7*lengthBytes) - 1)
	}
	for i := range lengthBytes {
		dst[at+i] = byte(length>>(7*i))&0x7f | 0x80
	}
	dst[at+lengthBytes-1] &= 0x7f
	return dst, nil
}

// mapKey returns the key of an entry of a map of strings; the encoders write it first.
func mapKey(entry []byte) string {
	number, kind, tag := protowire.ConsumeTag(entry)
	if tag < 0 || number != 1 || kind != protowire.BytesType {
		return ""
	}
	key, _ := protowire.ConsumeBytes(entry[tag:])
	return string(key)
}
