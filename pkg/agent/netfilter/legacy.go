package netfilter

import (
	"errors"
	"fmt"
)

// LegacyInfo is what IPT_SO_GET_INFO says of a table.
type LegacyInfo struct {
	hooks             uint32
	entry, underflow  [5]uint32
	Entries, ByteSize uint32
}

// Sizes of struct ipt_getinfo and of the head of struct ipt_get_entries; the second ends
// where the alignment of what follows wants it.
const (
	LegacyInfoSize = 84
	LegacyHeadSize = 40
)

// ParseLegacyInfo reads struct ipt_getinfo.
func ParseLegacyInfo(b []byte) (LegacyInfo, error) {
	if len(b) < LegacyInfoSize {
		return LegacyInfo{}, errors.New("cut off")
	}
	raw := blob(b)
	info := LegacyInfo{hooks: raw.u32(32), Entries: raw.u32(76), ByteSize: raw.u32(80)}
	for i := range info.entry {
		info.entry[i], info.underflow[i] = raw.u32(36+4*i), raw.u32(56+4*i)
	}
	return info, nil
}

// layout is where the parts of struct ipt_entry, or of struct ip6t_entry, lie.
type layout struct {
	v6                     bool
	size                   int // of the fixed part
	addr                   int // of an address
	in, out, inMask, omask int
	proto, flags, inverted int
	target, next           int
	flagGoto, flagLater    uint8
}

func legacyLayout(v6 bool) layout {
	if v6 {
		return layout{v6: true, size: 168, addr: 16, in: 64, out: 80, inMask: 96, omask: 112,
			proto: 128, flags: 131, inverted: 132, target: 140, next: 142, flagGoto: 4}
	}
	return layout{size: 112, addr: 4, in: 16, out: 32, inMask: 48, omask: 64,
		proto: 80, flags: 82, inverted: 83, target: 88, next: 90, flagGoto: 2, flagLater: 1}
}

// Legacy reads a table of the older ip_tables into what iptables-legacy-save prints. What
// does not hold together is an error.
func Legacy(save *Save, table string, v6 bool, info LegacyInfo, entries []byte) error {
	l := legacyReader{layout: legacyLayout(v6), save: save, table: table, info: info, b: entries,
		chains: map[int]string{}}
	save.Table(table)
	if err := l.walk(l.note); err != nil {
		return err
	}
	return l.walk(l.rule)
}

type legacyReader struct {
	layout
	save   *Save
	table  string
	info   LegacyInfo
	b      []byte
	chains map[int]string // by the place of their first rule

	chain []byte
	hook  int // -1: not at a hook
	held  *Rule
}

// walk calls for every entry with its place, its bytes and the place of the next.
func (l *legacyReader) walk(call func(at int, e blob, next int) error) error {
	l.chain, l.hook, l.held = nil, -1, nil
	for at := 0; at < len(l.b); {
		e := blob(l.b[at:])
		target, next := int(e.u16(l.target)), int(e.u16(l.next))
		if target < l.size || next < target+xtHead || next > len(e) {
			return fmt.Errorf("entry at %d of %d is damaged", at, len(l.b))
		}
		if err := call(at, e[:next], at+next); err != nil {
			return err
		}
		at += next
	}
	return nil
}

// xtHead is the size of the head of struct xt_entry_match and xt_entry_target: two bytes of
// size, 29 of the name, one of the revision.
const xtHead = 32

func xtName(b blob) string { return string(untilZero(b[2:31])) }

// note finds the chains: one at a hook begins where the head of the table says, every other
// with a target of the name ERROR, which the very last entry of a table is too.
func (l *legacyReader) note(at int, e blob, next int) error {
	if name, is := l.start(e); is && next < len(l.b) {
		l.chains[next] = name
		l.save.Chain(l.table, name, "-", 0)
	}
	for hook := range l.info.entry {
		if l.info.hooks&(1<<hook) == 0 {
			continue
		}
		if int(l.info.entry[hook]) == at {
			l.hook = hook
		}
		if int(l.info.underflow[hook]) == at && l.hook == hook {
			policy, err := l.verdict(e)
			if err != nil {
				return err
			}
			l.save.Chain(l.table, builtin(uint32(hook)), policy, hook)
			l.hook = -1
		}
	}
	return nil
}

// start tells whether an entry begins a chain.
func (l *legacyReader) start(e blob) (string, bool) {
	t := e[e.u16(l.target):]
	if xtName(t) != "ERROR" {
		return "", false
	}
	return string(untilZero(t[xtHead:])), true
}

func (l *legacyReader) rule(at int, e blob, next int) error {
	if name, is := l.start(e); is {
		// The rule before was the end of its chain: it returns.
		l.chain, l.held = []byte(name), nil
		return nil
	}
	for hook := range l.info.entry {
		if l.info.hooks&(1<<hook) != 0 && int(l.info.entry[hook]) == at {
			l.flush()
			l.chain, l.hook = []byte(builtin(uint32(hook))), hook
		}
	}
	l.flush()
	if l.hook >= 0 && int(l.info.underflow[l.hook]) == at {
		l.chain, l.hook = nil, -1 // its policy
		return nil
	}
	r, err := l.read(e, next)
	l.held = r
	return err
}

func (l *legacyReader) flush() {
	if l.held != nil {
		l.save.Rule(l.table, l.chain, l.held)
	}
	l.held = nil
}
