package netfilter

import (
	"bytes"
	"encoding/binary"
)

// attrs are the attributes of one level of a message, by their type. Types that are not
// read lie beyond.
type attrs [16][]byte

// parseAttrs reads one level of attributes; whole is false where they are damaged.
func parseAttrs(b []byte) (a attrs, whole bool) {
	whole = eachAttr(b, func(kind uint16, data []byte) {
		if int(kind) < len(a) {
			a[kind] = data
		}
	})
	return a, whole
}

// eachAttr calls for every attribute of one level; it returns false where they are damaged.
func eachAttr(b []byte, call func(kind uint16, data []byte)) bool {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return false
		}
		// The two highest bits say how the data is written.
		call(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[4:size])
		b = b[min((size+3)&^3, len(b)):]
	}
	return len(b) == 0
}

// u32 returns a number of nf_tables, which are big-endian; 0 where there is none.
func (a *attrs) u32(kind int) uint32 {
	if len(a[kind]) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a[kind])
}

// text returns a string without its closing zero byte.
func (a *attrs) text(kind int) string { return string(untilZero(a[kind])) }

// value returns the data that an attribute of nested data holds.
func (a *attrs) value(kind int) []byte {
	data, _ := parseAttrs(a[kind])
	return data[dataValue]
}

func untilZero(b []byte) []byte {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		return b[:end]
	}
	return b
}

// blob is a structure of the kernel in the byte order of the machine. What lies beyond its
// end is 0: whoever reads it looks at its length first.
type blob []byte

func (b blob) u8(at int) uint8 {
	if at >= len(b) {
		return 0
	}
	return b[at]
}

func (b blob) u16(at int) uint16 {
	if at+2 > len(b) {
		return 0
	}
	return binary.NativeEndian.Uint16(b[at:])
}

func (b blob) be16(at int) uint16 {
	if at+2 > len(b) {
		return 0
	}
	return binary.BigEndian.Uint16(b[at:])
}

func (b blob) u32(at int) uint32 {
	if at+4 > len(b) {
		return 0
	}
	return binary.NativeEndian.Uint32(b[at:])
}
