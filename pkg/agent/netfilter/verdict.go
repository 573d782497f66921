package netfilter

import "encoding/binary"

// verdict is where a rule or an element leads to.
type verdict struct {
	code  int32
	chain string
	set   bool
}

// Codes of verdicts, from linux/netfilter.h and nf_tables.h.
const (
	codeDrop   = 0
	codeAccept = 1
	codeQueue  = 3
	codeJump   = -3
	codeGoto   = -4
	codeReturn = -5
)

// decide makes a verdict that of the rule.
func (s *state) decide(v verdict) {
	r := s.rule
	r.Target, r.Args, r.Chain, r.Goto, r.jump = v.name(), "", v.chain != "", v.code == codeGoto, v.chain
}

func (v verdict) name() string {
	switch v.code {
	case codeDrop:
		return "DROP"
	case codeAccept:
		return "ACCEPT"
	case codeReturn:
		return "RETURN"
	case codeQueue:
		return "NFQUEUE"
	case codeJump, codeGoto:
		return word(v.chain)
	case -1: // goes on
		return ""
	}
	return Unknown
}

// readVerdict reads data that is a verdict and not a value.
func readVerdict(b []byte) (v verdict, ok bool) {
	const code, chain = 1, 2
	data, _ := parseAttrs(b)
	if data[dataVerdict] == nil {
		return v, false
	}
	inner, _ := parseAttrs(data[dataVerdict])
	v = verdict{code: int32(inner.u32(code)), set: true}
	if v.code == codeJump || v.code == codeGoto {
		v.chain = inner.text(chain)
	}
	return v, true
}

func native32(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}
