package netfilter

import (
	"encoding/binary"
	"strconv"
)

// oneSided reads a comparison that fits all below or above.
func (s *state) oneSided(o operand, operator uint32, data []byte) {
	if len(data) != 2 || o.mask != nil {
		s.rule.unknown()
		return
	}
	from, to := uint16(0), uint16(0xffff)
	switch n := binary.BigEndian.Uint16(data); {
	case operator == cmpAtLeast:
		from = n
	case operator == cmpGreater && n < 0xffff:
		from = n + 1
	case operator == cmpAtMost:
		to = n
	case operator == cmpLess && n > 0:
		to = n - 1
	default:
		s.rule.unknown()
		return
	}
	s.port(o, from, to, false)
}

// between reads two comparisons of one register that are a range.
func (s *state) between(a, b *expression) bool {
	if b.name != "cmp" || a.data.u32(2) != cmpAtLeast || b.data.u32(2) != cmpAtMost || a.data.u32(1) != b.data.u32(1) {
		return false
	}
	s.inRange(s.reg(a.data.u32(1)), a.data.value(3), b.data.value(3), false)
	return true
}

// inRange reads that a register lies between two constants.
func (s *state) inRange(o operand, from, to []byte, not bool) {
	if len(from) < 2 || len(to) < 2 || o.mask != nil {
		s.rule.unknown()
		return
	}
	if ones, ok := commonPrefix(from, to); ok && o.kind == opPayload && o.base == networkHeader && o.size == len(from) {
		o.mask, o.size = prefixMask(ones, len(from)), len(from)
		s.payload(o, from, not)
		return
	}
	s.port(o, binary.BigEndian.Uint16(from), binary.BigEndian.Uint16(to), not)
}

// commonPrefix tells whether a range of addresses is a network.
func commonPrefix(from, to []byte) (ones int, ok bool) {
	if len(from) != len(to) || len(from) < 4 {
		return 0, false
	}
	for ones < 8*len(from) && (from[ones/8]^to[ones/8])&(0x80>>(ones%8)) == 0 {
		ones++
	}
	for i := ones; i < 8*len(from); i++ {
		if bit := byte(0x80 >> (i % 8)); from[i/8]&bit != 0 || to[i/8]&bit == 0 {
			return 0, false
		}
	}
	return ones, true
}

// port reads a comparison of a port.
func (s *state) port(o operand, from, to uint16, not bool) {
	if o.kind != opPayload || o.base != transportHeader || o.size != 2 || o.off != 0 && o.off != 2 {
		s.rule.unknown()
		return
	}
	option, name := "--sport ", "th"
	if o.off == 2 {
		option = "--dport "
	}
	bit := uint8(1 << o.off)
	if s.ports&bit != 0 {
		s.rule.unknown() // of the same port a second time
		return
	}
	s.ports |= bit
	if s.proto != 0 {
		name = protoName(s.proto)
	}
	if option == "--dport " && from == to && !not {
		s.rule.DPort = from
	}
	if not {
		option = "! " + option
	}
	s.rule.match(name, option+portsText(from, to))
}

// icmpType reads a comparison of the kind of an ICMP message.
func (s *state) icmpType(kind uint8, not bool) {
	name, option := "icmp", "--icmp-type "
	if s.proto == protoICMPv6 {
		name, option = "icmp6", "--icmpv6-type "
	}
	if not {
		option = "! " + option
	}
	s.rule.match(name, option+strconv.Itoa(int(kind)))
}
