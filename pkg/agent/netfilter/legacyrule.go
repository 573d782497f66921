package netfilter

import (
	"errors"
	"fmt"
)

// What struct ipt_ip and struct ip6t_ip6 say is the other way round.
const (
	notIn    = 0x01
	notOut   = 0x02
	notSrc   = 0x08
	notDst   = 0x10
	notLater = 0x20
	notProto = 0x40
)

// read reads one entry as a rule.
func (l *legacyReader) read(e blob, next int) (*Rule, error) {
	r := &Rule{}
	inverted, flags := e.u8(l.inverted), e.u8(l.flags)
	n := l.addr
	for i, o := range []*Option{&r.Src, &r.Dst} {
		text := network(e[i*n:(i+1)*n], e[(2+i)*n:(3+i)*n])
		not := inverted&[]uint8{notSrc, notDst}[i] != 0
		if text != "" {
			*o = Option{text, not}
		} else if not {
			r.unknown()
		}
	}
	if name := legacyLink(e[l.in:l.in+16], e[l.inMask:l.inMask+16]); name != "" {
		r.In = Option{name, inverted&notIn != 0}
	}
	if name := legacyLink(e[l.out:l.out+16], e[l.omask:l.omask+16]); name != "" {
		r.Out = Option{name, inverted&notOut != 0}
	}
	if proto := e.u16(l.proto); proto != 0 {
		r.Proto = Option{protoName(uint8(proto)), inverted&notProto != 0}
	}
	r.inside = r.Src.Value != "" || r.In.Value != ""
	if l.flagLater != 0 && flags&l.flagLater != 0 {
		r.Later = true
		if inverted&notLater != 0 {
			r.unknown()
		}
	}
	target := int(e.u16(l.target))
	if err := l.matches(r, e[l.size:target]); err != nil {
		return nil, err
	}
	r.Goto = flags&l.flagGoto != 0
	return r, l.jump(r, e[target:], next)
}

func (l *legacyReader) matches(r *Rule, b blob) error {
	for len(b) > 0 {
		size := int(b.u16(0))
		if size < xtHead || size > len(b) {
			return errors.New("a match is damaged")
		}
		r.xtMatch(xtName(b), b.u8(31), b[xtHead:size])
		b = b[size:]
	}
	return nil
}

// jump reads the target of a rule: a verdict, the place of a chain, or a target by name.
func (l *legacyReader) jump(r *Rule, t blob, next int) error {
	if xtName(t) != "" {
		r.xtTarget(xtName(t), t.u8(31), t[xtHead:], l.v6)
		return nil
	}
	at := int(int32(t.u32(xtHead)))
	if at < 0 || len(t) < xtHead+4 {
		name, err := l.standard(t)
		r.Target = name
		return err
	}
	name, known := l.chains[at]
	switch {
	case known:
		r.Target, r.Chain = word(name), true
	case at == next: // goes on with the next rule
		r.Goto = false
	default:
		return fmt.Errorf("a rule leads to %d, where no chain begins", at)
	}
	return nil
}

// verdict reads a policy.
func (l *legacyReader) verdict(e blob) (string, error) {
	return l.standard(e[e.u16(l.target):])
}

func (l *legacyReader) standard(t blob) (string, error) {
	if len(t) < xtHead+4 {
		return "", errors.New("a verdict is cut off")
	}
	switch int32(t.u32(xtHead)) {
	case -codeDrop - 1:
		return "DROP", nil
	case -codeAccept - 1:
		return "ACCEPT", nil
	case -codeQueue - 1:
		return "QUEUE", nil
	case -5: // XT_RETURN
		return "RETURN", nil
	}
	return Unknown, nil
}

// legacyLink reads the name of an interface; "" where every one fits. A mask that ends with
// the name fits all that begin so.
func legacyLink(name, mask []byte) string {
	ones := 0
	for ones < len(mask) && mask[ones] != 0 {
		ones++
	}
	text := untilZero(name)
	switch {
	case ones == 0:
		return ""
	case ones <= len(text):
		return word(string(text[:ones])) + "+"
	}
	return word(string(text))
}
