package netfilter

import "bytes"

// Operators of the cmp expression.
const (
	cmpEqual    = 0
	cmpNotEqual = 1
	cmpLess     = 2
	cmpAtMost   = 3
	cmpGreater  = 4
	cmpAtLeast  = 5
)

// Keys of the meta expression.
const (
	metaProtocol = 1
	metaMark     = 3
	metaIn       = 4
	metaOut      = 5
	metaInName   = 6
	metaOutName  = 7
	metaNFProto  = 15
	metaL4Proto  = 16
)

// Headers of the payload expression.
const (
	networkHeader   = 1
	transportHeader = 2
)

// compare reads a comparison of a register with a constant.
func (s *state) compare(o operand, operator uint32, data []byte) {
	not := operator == cmpNotEqual
	if operator > cmpNotEqual {
		s.oneSided(o, operator, data)
		return
	}
	if o.xor != nil && !zero(o.xor) {
		s.rule.unknown()
		return
	}
	switch o.kind {
	case opPayload:
		s.payload(o, data, not)
	case opMeta:
		s.meta(o, data, not)
	case opCT:
		s.conntrack(o, data, not)
	case opFib:
		s.fib(o, data, not)
	default:
		s.rule.unknown()
	}
}

// from tells whether an operand is the source address.
func (o operand) from(v6 bool) bool {
	return o.kind == opPayload && o.base == networkHeader && (v6 && o.off == 8 || !v6 && o.off == 12)
}

// meta compares what the kernel knows about a packet.
func (s *state) meta(o operand, data []byte, not bool) {
	r := s.rule
	if o.mask != nil && o.key != metaMark {
		r.unknown()
		return
	}
	switch o.key {
	case metaMark:
		s.mark("mark", o, data, not)
	case metaInName, metaOutName:
		r.link(o.key == metaInName, linkName(data), not)
	case metaIn, metaOut:
		if name := s.links[native32(data)]; name != "" {
			r.link(o.key == metaIn, word(name), not)
			return
		}
		r.unknown()
	case metaL4Proto:
		s.setProto(blob(data).u8(0), not)
	case metaNFProto, metaProtocol:
		s.onlyFamily(o.key, data, not)
	default:
		r.unknown()
	}
}

func (r *Rule) link(in bool, name string, not bool) {
	if in {
		r.inside = true
		r.set(&r.In, name, not)
	} else {
		r.set(&r.Out, name, not)
	}
}

// linkName returns the name that is compared; one that is cut short fits all that begin so.
func linkName(data []byte) string {
	name := untilZero(data)
	if len(name) < len(data) {
		return word(string(name))
	}
	if len(name) == 0 {
		return "+"
	}
	return word(string(name)) + "+"
}

// mark compares a mark, of the packet or of its connection. nft asks for any of some bits.
func (s *state) mark(match string, o operand, data []byte, not bool) {
	mask := ^uint32(0)
	if o.mask != nil {
		mask = native32(o.mask)
	}
	text := "--mark " + maskedText(native32(data), mask)
	if not {
		text = "! " + text
	}
	s.rule.match(match, text)
}

func (s *state) setProto(proto uint8, not bool) {
	if value := protoName(proto); s.rule.Proto != (Option{value, not}) {
		s.rule.set(&s.rule.Proto, value, not)
	}
	if !not {
		s.proto = proto
	}
}

// onlyFamily reads that a rule is for IPv4 or IPv6 alone.
func (s *state) onlyFamily(key uint32, data []byte, not bool) {
	four := key == metaNFProto && bytes.Equal(data, []byte{familyIPv4}) || key == metaProtocol && bytes.Equal(data, []byte{8, 0})
	six := key == metaNFProto && bytes.Equal(data, []byte{familyIPv6}) || key == metaProtocol && bytes.Equal(data, []byte{0x86, 0xdd})
	switch {
	case !four && !six, not, s.family == familyIPv4 && six, s.family == familyIPv6 && four:
		s.rule.unknown()
	case s.family == familyIPv4, s.family == familyIPv6: // says nothing new
	case s.rule.Family != 0 && (s.rule.Family == 6) != six:
		s.rule.unknown()
	case six:
		s.rule.Family, s.v6 = 6, true
	default:
		s.rule.Family, s.v6 = 4, false
	}
}

// conntrack compares what is known of a packet's connection.
func (s *state) conntrack(o operand, data []byte, not bool) {
	const keyState, keyStatus, keyMark = 0, 2, 3
	bits := native32(data)
	if o.mask != nil && zero(data) {
		// Some of the bits of the mask: the usual form.
		bits, not = native32(o.mask), !not
	} else if o.mask != nil && o.key != keyMark {
		s.rule.unknown()
		return
	}
	switch o.key {
	case keyState:
		names, whole := bitNames(bits, nftStates())
		s.rule.match("conntrack", map[bool]string{true: "! ", false: ""}[not]+"--ctstate "+names)
		if !whole {
			s.rule.unknown()
		}
	case keyStatus:
		if names, whole := bitNames(bits, []bit{{0x10, "SNAT"}, {0x20, "DNAT"}}); whole && o.mask != nil {
			s.rule.match("conntrack", map[bool]string{true: "! ", false: ""}[not]+"--ctstate "+names)
			return
		}
		s.rule.unknown()
	case keyMark:
		s.mark("connmark", o, data, not != (o.mask != nil && zero(data)))
	default:
		s.rule.unknown()
	}
}

// fib compares what kind of address a packet has, or whether a way leads back to it.
func (s *state) fib(o operand, data []byte, not bool) {
	const typeOf, source, destination, incoming, mark = 3, 1, 2, 8, 4
	r := s.rule
	number := native32(data)
	switch {
	case o.mask != nil:
		r.unknown()
	case o.key == typeOf && (o.flags == source || o.flags == destination) && number < 12:
		option := "--src-type "
		if o.flags == destination {
			option = "--dst-type "
		} else {
			r.inside = true
		}
		text := option + addrTypes()[number].name
		if not {
			text = "! " + text
		}
		r.match("addrtype", text)
	case o.key != typeOf && o.flags&^(mark|1<<5) == source|incoming && zero(data):
		text := "--invert"
		if not {
			text = ""
		}
		r.match("rpfilter", text)
	default:
		r.unknown()
	}
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
