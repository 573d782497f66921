package netfilter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Structures of matches and targets are those of linux/netfilter/xt_NAME.h. A match of
// another name, or of another revision, stands in the rule by its name alone.

// xtMatch adds a match of the xtables to a rule.
func (r *Rule) xtMatch(name string, revision uint8, info blob) {
	size, read := xtMatchReader(name, revision)
	m := Match{Name: word(name)}
	if read == nil {
		r.Matches = append(r.Matches, m)
		return
	}
	if len(info) < size {
		r.Matches = append(r.Matches, m)
		r.unknown()
		return
	}
	var whole bool
	at := len(r.Matches)
	r.Matches = append(r.Matches, m)
	r.Matches[at].Args, whole = read(r, info)
	if !whole {
		r.unknown()
	}
	if name == "conntrack" && strings.Contains(r.Matches[at].Args, "--state") {
		r.Matches[at].Name = "state"
	}
}

// xtMatchReader returns what reads a match, and how long its structure is at least. The
// reader says whether it understood the whole.
func xtMatchReader(name string, revision uint8) (size int, read func(*Rule, blob) (string, bool)) {
	switch {
	case name == "comment":
		return 1, xtComment
	case name == "tcp":
		return 12, xtTCP
	case name == "udp":
		return 9, xtUDP
	case name == "sctp":
		return 292, xtSCTP
	case name == "icmp", name == "icmp6":
		return 4, xtICMP
	case name == "mark" && revision == 1:
		return 9, xtMark
	case name == "conntrack" && (revision == 2 || revision == 3):
		return 154, xtConntrack
	case name == "state" && revision == 0:
		return 4, xtState
	case name == "addrtype" && revision == 1:
		return 8, xtAddrType
	case name == "multiport" && revision == 1:
		return 48, xtMultiport
	case name == "recent":
		return 10, xtRecent
	}
	return 0, nil
}

func xtComment(_ *Rule, b blob) (string, bool) {
	return "--comment " + quote(string(untilZero(b))), true
}

func xtTCP(r *Rule, b blob) (string, bool) {
	inverted := b.u8(11)
	args := r.xtPorts(b, 0, 4, inverted)
	if mask, flags := b.u8(9), b.u8(10); mask != 0 || flags != 0 || inverted&4 != 0 {
		args = append(args, not("--tcp-flags "+tcpFlags(mask)+" "+tcpFlags(flags), inverted&4 != 0))
	}
	if option := b.u8(8); option != 0 {
		args = append(args, not("--tcp-option "+strconv.Itoa(int(option)), inverted&8 != 0))
	}
	return strings.Join(args, " "), inverted&^0xf == 0
}

func xtUDP(r *Rule, b blob) (string, bool) {
	inverted := b.u8(8)
	return strings.Join(r.xtPorts(b, 0, 4, inverted), " "), inverted&^3 == 0
}

func xtSCTP(r *Rule, b blob) (string, bool) {
	const source, destination, chunks = 1, 2, 4
	used, inverted := b.u32(284), uint8(b.u32(288))
	b = slices.Clone(b[:8])
	if used&source == 0 {
		copy(b[4:], []byte{0, 0, 0xff, 0xff})
	}
	if used&destination == 0 {
		copy(b, []byte{0, 0, 0xff, 0xff})
	}
	return strings.Join(r.xtPorts(b, 4, 0, inverted&3), " "), used&chunks == 0
}

// xtPorts reads two pairs of ports. The first bit of inverted is that of the source.
func (r *Rule) xtPorts(b blob, source, destination int, inverted uint8) []string {
	var args []string
	if from, to := b.u16(source), b.u16(source+2); from != 0 || to != 0xffff || inverted&1 != 0 {
		args = append(args, not("--sport "+portsText(from, to), inverted&1 != 0))
	}
	if from, to := b.u16(destination), b.u16(destination+2); from != 0 || to != 0xffff || inverted&2 != 0 {
		args = append(args, not("--dport "+portsText(from, to), inverted&2 != 0))
		if from == to && inverted&2 == 0 {
			r.DPort = from
		}
	}
	return args
}

func xtICMP(r *Rule, b blob) (string, bool) {
	const every = 0xff
	kind, from, to, inverted := b.u8(0), b.u8(1), b.u8(2), b.u8(3)&1 != 0
	option := "--icmp-type "
	if r.Proto.Value == protoName(protoICMPv6) {
		option = "--icmpv6-type "
	}
	text := strconv.Itoa(int(kind))
	switch {
	case kind == every && option == "--icmp-type ":
		text = "any"
	case from == 0 && to == 0xff:
	case from == to:
		text += "/" + strconv.Itoa(int(from))
	default:
		return not(option+text, inverted), false
	}
	return not(option+text, inverted), true
}

func xtMark(_ *Rule, b blob) (string, bool) {
	return not("--mark "+maskedText(b.u32(0), b.u32(4)), b.u8(8) != 0), true
}

func xtConntrack(_ *Rule, b blob) (string, bool) {
	const state, status, alias = 1, 1 << 6, 1 << 13
	asked, inverted := b.u16(146), b.u16(148)
	var args []string
	whole := asked&^(state|status|alias) == 0
	if asked&state != 0 {
		names, known := bitNames(uint32(b.u16(150)), xtStates())
		option := "--ctstate "
		if asked&alias != 0 {
			option = "--state "
		}
		args, whole = append(args, not(option+names, inverted&state != 0)), whole && known
	}
	if asked&status != 0 {
		names, known := bitNames(uint32(b.u16(152)), []bit{{1, "EXPECTED"}, {2, "SEEN_REPLY"}, {4, "ASSURED"}, {8, "CONFIRMED"}})
		args, whole = append(args, not("--ctstatus "+names, inverted&status != 0)), whole && known
	}
	return strings.Join(args, " "), whole
}

func xtState(_ *Rule, b blob) (string, bool) {
	names, whole := bitNames(b.u32(0), nftStates())
	return "--state " + names, whole
}

func xtAddrType(r *Rule, b blob) (string, bool) {
	const notSource, notDestination = 1, 2
	flags := b.u32(4)
	var args []string
	whole := true
	if types := b.u16(0); types != 0 {
		names, known := bitNames(uint32(types), addrTypes())
		args, whole = append(args, not("--src-type "+names, flags&notSource != 0)), known
		r.inside = true
	}
	if types := b.u16(2); types != 0 {
		names, known := bitNames(uint32(types), addrTypes())
		args, whole = append(args, not("--dst-type "+names, flags&notDestination != 0)), whole && known
	}
	for _, limit := range []bit{{4, "--limit-iface-in"}, {8, "--limit-iface-out"}} {
		if flags&limit.mask != 0 {
			args = append(args, limit.name)
		}
	}
	return strings.Join(args, " "), whole
}

func xtMultiport(_ *Rule, b blob) (string, bool) {
	option := "--ports "
	switch b.u8(0) {
	case 0:
		option = "--sports "
	case 1:
		option = "--dports "
	}
	count := min(int(b.u8(1)), 15)
	var text strings.Builder
	for i := range count {
		text.WriteString(strconv.Itoa(int(b.u16(2 + 2*i))))
		switch {
		case i == count-1:
		case b.u8(32+i) != 0: // the first of a range
			text.WriteByte(':')
		default:
			text.WriteByte(',')
		}
	}
	return not(option+text.String(), b.u8(47) != 0), true
}

// xtRecent reads whether a rule looks for clients that were here before.
func xtRecent(r *Rule, b blob) (string, bool) {
	const check, set, update, remove = 1, 2, 4, 8
	switch how := b.u8(8); {
	case how&set != 0:
		return "--set", true
	case how&remove != 0:
		return "--remove", true
	case how&check != 0:
		r.sticky = true
		return fmt.Sprintf("--rcheck --seconds %d", b.u32(0)), true
	case how&update != 0:
		return "--update", true
	}
	return "", false
}
