// Package netfilter reads rules as the kernel keeps them: the messages of nf_tables and the
// tables of the older ip_tables. It makes the text of iptables-save of them, and resolves what
// kube-proxy wrote. It asks nobody: package agent brings what it reads.
//
// What it cannot read it says: a condition as "-m unknown", a verdict as "-j unknown". A rule
// never looks more general than it is.
package netfilter

import (
	"net/netip"
	"strings"
)

// Unknown is the match, and the target, that stands for what could not be read.
const Unknown = "unknown"

// Option is an option of a rule with at most one value, such as -s; without a value the rule
// does not have it.
type Option struct {
	Value string
	Not   bool
}

// Match is a condition in the words of iptables: -m Name, then Args.
type Match struct{ Name, Args string }

// Rule is one rule of one chain, whichever way the kernel keeps it.
type Rule struct {
	Src, Dst, In, Out, Proto Option

	// Family is 4 or 6 where a rule of a table for both is for one alone, and 0 elsewhere.
	Family int

	// Later is set where the rule is for all fragments but the first.
	Later bool

	Matches []Match

	// Target is a verdict, a target or a chain; "" where the rule decides nothing.
	Target string
	// Chain is set where Target is a chain; Goto where it does not return.
	Chain, Goto bool
	Args        string
	jump        string // the chain's name as it is

	// DPort is the port that the rule is for, 0 where it is for none or for several.
	DPort uint16
	// DNAT is where the rule leads to, if that is one address and port.
	DNAT netip.AddrPort

	// inside tells that the rule asks where a packet comes from: such a rule of a chain for
	// addresses outside is for pods and for the node itself.
	inside bool
	// sticky tells that the rule is for clients which were here before: another rule leads
	// everybody else to the same place.
	sticky bool
	// natMap and verdicts name the maps that hold where the rule leads to.
	natMap, verdicts string
}

// Text returns the rule as iptables-save would print it, for a chain of that name.
func (r *Rule) Text(chain string) string {
	b := make([]byte, 0, 128)
	b = append(append(b, "-A "...), chain...)
	switch r.Family {
	case 4:
		b = append(b, " -4"...)
	case 6:
		b = append(b, " -6"...)
	}
	for _, o := range []struct {
		flag string
		Option
	}{{"-s", r.Src}, {"-d", r.Dst}, {"-i", r.In}, {"-o", r.Out}, {"-p", r.Proto}} {
		if o.Value == "" {
			continue
		}
		if o.Not {
			b = append(b, " !"...)
		}
		b = append(append(append(append(b, ' '), o.flag...), ' '), o.Value...)
	}
	if r.Later {
		b = append(b, " -f"...)
	}
	for _, m := range r.Matches {
		b = append(append(b, " -m "...), m.Name...)
		if m.Args != "" {
			b = append(append(b, ' '), m.Args...)
		}
	}
	return string(r.appendTarget(b))
}

func (r *Rule) appendTarget(b []byte) []byte {
	if r.Target == "" {
		return b
	}
	flag := " -j "
	if r.Goto {
		flag = " -g "
	}
	b = append(append(b, flag...), r.Target...)
	if r.Args != "" {
		b = append(append(b, ' '), r.Args...)
	}
	return b
}

// unknown notes a condition that could not be read; one note does for any number of them.
func (r *Rule) unknown() {
	for _, m := range r.Matches {
		if m.Name == Unknown {
			return
		}
	}
	r.Matches = append(r.Matches, Match{Name: Unknown})
}

// set fills an option; a second condition of the same kind is one that cannot be shown.
func (r *Rule) set(o *Option, value string, not bool) {
	if o.Value != "" {
		r.unknown()
		return
	}
	*o = Option{value, not}
}

// match adds a condition, to the last one if that has the same name.
func (r *Rule) match(name, args string) {
	if last := len(r.Matches) - 1; last >= 0 && r.Matches[last].Name == name {
		r.Matches[last].Args = strings.TrimSpace(r.Matches[last].Args + " " + args)
		return
	}
	r.Matches = append(r.Matches, Match{name, args})
}

// not negates an option in text.
func not(args string, negated bool) string {
	if negated {
		return "! " + args
	}
	return args
}

// word makes a name one printable word, so that lines stay lines and words stay words.
func word(name string) string {
	clean := true
	for i := 0; i < len(name); i++ {
		clean = clean && name[i] > ' ' && name[i] < 0x7f && name[i] != '"'
	}
	switch {
	case name == "":
		return "?"
	case clean:
		return name
	}
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f || c == '"' {
			return '?'
		}
		return c
	}, name)
}

// quote writes free text as iptables-save does.
func quote(text string) string {
	plain := text != ""
	for i := 0; i < len(text); i++ {
		c := text[i]
		plain = plain && (c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
	}
	if plain {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range strings.ToValidUTF8(text, "?") {
		switch {
		case c == '"' || c == '\\' || c == '\'':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			b.WriteByte('?')
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
