package netfilter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// statement reads a step that does something, or that is not known: then it may be a
// condition too.
func (s *state) statement(name string, a *attrs) {
	switch name {
	case "counter", "last", "dup", "flow_offload":
	case "log":
		s.instead("LOG")
	case "notrack":
		s.instead("NOTRACK")
	case "objref": // kind of object
		const quota, limit, connlimit = 2, 4, 5
		if kind := a.u32(1); kind == 0 || kind == quota || kind == limit || kind == connlimit {
			s.rule.unknown()
		}
	case "exthdr": // a register that is written into the header
		const source = 7
		if a[source] == nil {
			s.rule.unknown()
		}
	case "reject": // kind, code
		s.reject(a.u32(1), blob(a[2]).u8(0))
	case "masq": // flags, ports from, to
		s.nat("MASQUERADE", natRange{flags: a.u32(1)}, operand{}, s.reg(a.u32(2)))
	case "redir": // ports from, to, flags
		s.nat("REDIRECT", natRange{flags: a.u32(3)}, operand{}, s.reg(a.u32(1)))
	case "nat": // kind, family, addresses from, to, ports from, to, flags
		kind := map[bool]string{true: "DNAT", false: "SNAT"}[a.u32(1) == 1]
		s.nat(kind, natRange{flags: a.u32(7)}, s.reg(a.u32(3)), s.reg(a.u32(5)))
		if !s.same(a, 3, 4) || !s.same(a, 5, 6) {
			s.rule.DNAT, s.rule.Args = netip.AddrPort{}, ""
		}
	case "queue":
		s.instead("NFQUEUE")
	case "tproxy":
		s.instead("TPROXY")
	case "synproxy":
		s.instead("SYNPROXY")
	default:
		s.rule.unknown()
	}
}

// instead makes a statement the target where there is none yet; a verdict later replaces it.
func (s *state) instead(target string) {
	if s.rule.Target == "" {
		s.rule.Target = target
	}
}

// same tells whether the two ends of a range, in the registers that attributes name, are one.
func (s *state) same(a *attrs, from, to int) bool {
	return a[to] == nil || bytes.Equal(s.reg(a.u32(from)).data, s.reg(a.u32(to)).data)
}

// setMeta reads that something is set; for marks, how.
func (s *state) setMeta(key uint32, o operand) {
	if key != metaMark {
		return
	}
	s.instead("MARK")
	switch {
	case s.rule.Target != "MARK":
	case o.kind == opConstant:
		s.rule.Args = fmt.Sprintf("--set-xmark %#x/0xffffffff", native32(o.data))
	case o.kind == opMeta && o.key == metaMark && o.mask != nil:
		s.rule.Args = fmt.Sprintf("--set-xmark %#x/%#x", native32(o.xor), ^native32(o.mask))
	}
}

func (s *state) reject(kind uint32, code uint8) {
	const unreachable, reset, either = 0, 1, 2
	s.rule.Target, s.rule.Args = "REJECT", ""
	how := ""
	switch {
	case kind == reset:
		how = "tcp-reset"
	case kind == either:
		how = map[uint8]string{0: "icmp-net-unreachable", 1: "icmp-port-unreachable", 2: "icmp-host-unreachable", 3: "icmp-admin-prohibited"}[code]
	case kind == unreachable && s.v6:
		how = map[uint8]string{0: "icmp6-no-route", 1: "icmp6-adm-prohibited", 3: "icmp6-addr-unreachable", 4: "icmp6-port-unreachable",
			5: "icmp6-policy-fail", 6: "icmp6-reject-route"}[code]
	case kind == unreachable:
		how = map[uint8]string{0: "icmp-net-unreachable", 1: "icmp-host-unreachable", 2: "icmp-proto-unreachable", 3: "icmp-port-unreachable",
			9: "icmp-net-prohibited", 10: "icmp-host-prohibited", 13: "icmp-admin-prohibited"}[code]
	}
	if how != "" {
		s.rule.Args = "--reject-with " + how
	}
}

// nat reads a statement that changes addresses. What a map holds is named, so that it can be
// asked for.
func (s *state) nat(target string, n natRange, address, port operand) {
	r := s.rule
	r.Target, r.Args = target, ""
	if address.kind == opLookup {
		r.natMap = address.set
		return
	}
	n.flags &^= natAddrs | natPorts
	if address.kind == opConstant {
		n.flags |= natAddrs
		n.min = addr(address.data, len(address.data) > 4)
		n.max = n.min
	}
	if port.kind == opConstant && len(port.data) >= 2 {
		n.flags |= natPorts
		n.from = binary.BigEndian.Uint16(port.data)
		n.to = n.from
	}
	if n.flags&(natAddrs|natPorts) == 0 && target != "MASQUERADE" {
		return
	}
	r.natArgs(target, n)
}
