package netfilter

import (
	"bytes"
	"encoding/binary"
)

// field is a part of a header that a rule can ask for.
type field struct {
	off, size int
	read      func(s *state, data, mask []byte, not bool)
}

func (s *state) fields(base uint32) []field {
	switch {
	case base == networkHeader && s.v6:
		return []field{{6, 1, readProto}, {8, 16, readSource}, {24, 16, readDestination}}
	case base == networkHeader && s.ipv4():
		return []field{{6, 2, readFragment}, {9, 1, readProto}, {12, 4, readSource}, {16, 4, readDestination}}
	case base == transportHeader && (s.proto == protoICMP || s.proto == protoICMPv6):
		return []field{{0, 1, readICMPType}}
	case base == transportHeader:
		return []field{{0, 2, readSourcePort}, {2, 2, readDestinationPort}, {13, 1, readTCPFlags}}
	}
	return nil
}

// ipv4 tells whether it is certain that the packet is one of IPv4.
func (s *state) ipv4() bool { return s.family == familyIPv4 || s.rule.Family == 4 }

// payload compares a part of a header. nft joins neighbouring fields to one comparison, and
// compares only the beginning of an address where that suffices.
func (s *state) payload(o operand, data []byte, not bool) {
	if o.size > 64 || len(data) != o.size || o.mask != nil && len(o.mask) != o.size || o.size <= 0 {
		s.rule.unknown()
		return
	}
	fields := s.fields(o.base)
	for at := 0; at < o.size; {
		f, found := fieldAt(fields, o.off+at)
		n := min(f.size, o.size-at)
		if !found || n < f.size && f.size < 4 || not && n < o.size {
			s.rule.unknown()
			return
		}
		value, mask := make([]byte, f.size), make([]byte, f.size)
		copy(value, data[at:at+n])
		if o.mask != nil {
			copy(mask, o.mask[at:at+n])
		} else {
			copy(mask, bytes.Repeat([]byte{0xff}, n))
		}
		f.read(s, value, mask, not)
		at += n
	}
}

func fieldAt(fields []field, off int) (field, bool) {
	for _, f := range fields {
		if f.off == off {
			return f, true
		}
	}
	return field{}, false
}

func exact(mask []byte) bool {
	for _, c := range mask {
		if c != 0xff {
			return false
		}
	}
	return true
}

func readProto(s *state, data, mask []byte, not bool) {
	if !exact(mask) {
		s.rule.unknown()
		return
	}
	s.setProto(data[0], not)
}

// readFragment reads whether a packet is a fragment but the first: its place is not 0.
func readFragment(s *state, data, mask []byte, not bool) {
	if !not || !zero(data) || !bytes.Equal(mask, []byte{0x1f, 0xff}) {
		s.rule.unknown()
		return
	}
	s.rule.Later = true
}

func readSource(s *state, data, mask []byte, not bool) {
	s.rule.inside = true
	s.address(&s.rule.Src, data, mask, not)
}

func readDestination(s *state, data, mask []byte, not bool) {
	s.address(&s.rule.Dst, data, mask, not)
}

func (s *state) address(o *Option, data, mask []byte, not bool) {
	text := network(data, mask)
	if text == "" {
		s.rule.unknown()
		return
	}
	s.rule.set(o, text, not)
}

func readSourcePort(s *state, data, mask []byte, not bool) { s.onePort(0, data, mask, not) }

func readDestinationPort(s *state, data, mask []byte, not bool) { s.onePort(2, data, mask, not) }

func (s *state) onePort(off int, data, mask []byte, not bool) {
	if !exact(mask) {
		s.rule.unknown()
		return
	}
	n := binary.BigEndian.Uint16(data)
	s.port(operand{kind: opPayload, base: transportHeader, off: off, size: 2}, n, n, not)
}

func readTCPFlags(s *state, data, mask []byte, not bool) {
	// "tcp flags syn" asks for any of the bits, which iptables cannot.
	if s.proto != protoTCP || exact(mask) || data[0] == 0 && not {
		s.rule.unknown()
		return
	}
	text := "--tcp-flags " + tcpFlags(mask[0]) + " " + tcpFlags(data[0])
	if not {
		text = "! " + text
	}
	s.rule.match("tcp", text)
}

func readICMPType(s *state, data, mask []byte, not bool) {
	if !exact(mask) {
		s.rule.unknown()
		return
	}
	s.icmpType(data[0], not)
}
