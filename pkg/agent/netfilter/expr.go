package netfilter

import "slices"

// Attributes of expressions, from linux/netfilter/nf_tables.h; only those of more than one
// expression have names, the others stand beside their structure's name.
const (
	exprName, exprData     = 1, 2
	dataValue, dataVerdict = 1, 2
	infoName, infoRev      = 1, 2
	infoData               = 3
)

// operand is what a register holds.
type operand struct {
	kind      operandKind
	base      uint32 // of a payload: network or transport header
	off, size int    // of a payload, in bytes
	key       uint32 // of meta, ct and fib
	flags     uint32 // of fib
	mask, xor []byte // what was done with it; nil: nothing
	data      []byte // of a constant
	set       string // where it was looked up
}

type operandKind uint8

const (
	opNone operandKind = iota
	opPayload
	opMeta
	opCT
	opFib
	opConstant
	opNumgen
	opLookup
)

// Element is one element of a set or a map of nf_tables: a key, for ranges also their last
// one, and for maps what it leads to.
type Element struct {
	key, end []byte
	value    []byte
	verdict  verdict
	closes   bool // it is the first key after a range
}

// state is how far a rule has been read.
type state struct {
	rule   *Rule
	steps  []expression
	family byte
	v6     bool
	regs   [16]operand
	proto  uint8
	ports  uint8 // which of them the rule asked for, by their place
	links  map[uint32]string
	// elements returns those of a set that can be shown one by one.
	elements func(set string) ([]Element, bool)
	// room is how many rules may still come of the one.
	room *int
}

// expression is one step of a rule.
type expression struct {
	name string
	data attrs
}

// mostAlternatives bounds the rules that one rule with sets is shown as.
const mostAlternatives = 64

// expressions adds the steps of a rule; whole is false where they are damaged.
func expressions(out []expression, b []byte) (steps []expression, whole bool) {
	whole = eachAttr(b, func(_ uint16, data []byte) {
		e, ok := parseAttrs(data)
		inner, okInner := parseAttrs(e[exprData])
		if ok && okInner {
			out = append(out, expression{text(e[exprName]), inner})
		} else {
			out = append(out, expression{name: Unknown})
		}
	})
	return out, whole
}

// text returns a string without its closing zero byte; those of which there are many without
// a copy of their own.
func text(b []byte) string {
	b = untilZero(b)
	for _, usual := range []string{"payload", "meta", "cmp", "counter", "immediate", "match", "target", "bitwise"} {
		if string(b) == usual {
			return usual
		}
	}
	return string(b)
}

// run reads steps until the end; each rule that comes of them is handed over.
func (s *state) run(steps []expression, done func(*Rule)) {
	for i := 0; i < len(steps); i++ {
		step := &steps[i]
		if step.name == "lookup" && s.branch(step, steps[i+1:], done) {
			return
		}
		if step.name == "cmp" && i+1 < len(steps) && s.between(step, &steps[i+1]) {
			i++
			continue
		}
		s.step(step)
	}
	done(s.rule)
}

func (s *state) step(e *expression) {
	a := &e.data
	switch e.name {
	case "payload", "meta", "ct", "fib", "numgen", "immediate", "bitwise":
		s.load(e.name, a)
	case "cmp": // register, operator, data
		s.compare(s.reg(a.u32(1)), a.u32(2), a.value(3))
	case "range": // register, operator, from, to
		s.inRange(s.reg(a.u32(1)), a.value(3), a.value(4), a.u32(2) != 0)
	case "lookup":
		s.lookup(a)
	case "match":
		s.rule.xtMatch(a.text(infoName), uint8(a.u32(infoRev)), a[infoData])
	case "target":
		s.rule.xtTarget(a.text(infoName), uint8(a.u32(infoRev)), a[infoData], s.v6)
	case "limit":
		s.rule.match("limit", "")
	default:
		s.statement(e.name, a)
	}
}

// slot returns the place of a register: the first four are four times as long as the others.
func slot(reg uint32) int {
	switch {
	case reg >= 1 && reg <= 4:
		return int(reg-1) * 4
	case reg >= 8 && reg < 24:
		return int(reg - 8)
	}
	return -1
}

func (s *state) reg(reg uint32) operand {
	if at := slot(reg); at >= 0 {
		return s.regs[at]
	}
	return operand{}
}

func (s *state) put(reg uint32, o operand) {
	if at := slot(reg); at >= 0 {
		s.regs[at] = o
	}
}

// load reads a step that fills a register, or that writes from one.
func (s *state) load(name string, a *attrs) {
	switch name {
	case "payload": // register, base, offset, length, source
		if a[5] == nil {
			s.put(a.u32(1), operand{kind: opPayload, base: a.u32(2), off: int(a.u32(3)), size: int(a.u32(4))})
		}
	case "meta": // register, key, source
		if a[3] != nil {
			s.setMeta(a.u32(2), s.reg(a.u32(3)))
			return
		}
		s.put(a.u32(1), operand{kind: opMeta, key: a.u32(2)})
	case "ct": // register, key, direction, source
		if a[4] != nil {
			s.instead("CONNMARK")
			return
		}
		s.put(a.u32(1), operand{kind: opCT, key: a.u32(2)})
	case "fib": // register, result, flags
		s.put(a.u32(1), operand{kind: opFib, key: a.u32(2), flags: a.u32(3)})
	case "numgen":
		s.put(a.u32(1), operand{kind: opNumgen})
	case "immediate": // register, data
		if v, ok := readVerdict(a[2]); ok {
			s.decide(v)
			return
		}
		s.put(a.u32(1), operand{kind: opConstant, data: a.value(2)})
	case "bitwise":
		s.bitwise(a)
	}
}

func (s *state) bitwise(a *attrs) {
	const source, register, mask, xor, operation = 1, 2, 4, 5, 6
	o := s.reg(a.u32(source))
	if a.u32(operation) != 0 || o.mask != nil || o.kind == opConstant || o.kind == opLookup {
		o = operand{}
	}
	o.mask, o.xor = a.value(mask), a.value(xor)
	s.put(a.u32(register), o)
}

// lookup reads a step whose set is not shown one by one.
func (s *state) lookup(a *attrs) {
	const set, source, register = 1, 2, 3
	name, key := a.text(set), s.reg(a.u32(source))
	switch {
	case a[register] == nil && key.from(s.v6):
		s.rule.inside, s.rule.sticky = true, true
		s.rule.unknown()
	case a[register] == nil:
		s.rule.unknown()
	case a.u32(register) == 0:
		s.rule.verdicts = name
		s.rule.Target = Unknown
	default:
		s.put(a.u32(register), operand{kind: opLookup, set: name})
	}
}

// branch reads a step with a set whose elements are known: for each of them the rule goes on.
func (s *state) branch(e *expression, rest []expression, done func(*Rule)) bool {
	const set, source, register, flags, inverted = 1, 2, 3, 5, 1
	a := &e.data
	if s.elements == nil || a.u32(flags)&inverted != 0 || a[register] != nil && a.u32(register) != 0 {
		return false
	}
	elements, known := s.elements(a.text(set))
	if !known || len(elements) > *s.room {
		return false
	}
	*s.room -= len(elements)
	key := s.reg(a.u32(source))
	for _, element := range elements {
		next := *s
		rule := *s.rule
		rule.Matches = slices.Clone(rule.Matches)
		next.rule = &rule
		if element.end == nil {
			next.compare(key, cmpEqual, element.key)
		} else {
			next.inRange(key, element.key, element.end, false)
		}
		if a[register] != nil {
			next.decide(element.verdict)
		}
		next.run(rest, done)
	}
	return true
}
