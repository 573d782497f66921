package host

import (
	"net/netip"
	"slices"
	"strings"
)

// Packet is what a node forwards from one range of addresses to another: any of them, and
// none in particular.
type Packet struct {
	From, To netip.Prefix
	In, Out  []string // the interfaces by which they come and leave; none: not known
	Proto    string   // tcp, udp

	// Reply tells that they belong to connections that were let through before, Translated
	// that they went to an address of a Service first.
	Reply, Translated bool
}

// fits is how far a rule is about packets, from not at all to all of them.
type fits int

const (
	fitsNone    fits = iota
	fitsSome         // about a part of them: one port, one address
	fitsUnknown      // it cannot be told
	fitsAll
)

func fit(is bool) fits {
	if is {
		return fitsAll
	}
	return fitsNone
}

// cond is one condition of a rule.
type cond func(*Packet) fits

// not turns a condition round.
func (c cond) not() cond {
	return func(p *Packet) fits {
		switch f := c(p); f {
		case fitsNone:
			return fitsAll
		case fitsAll:
			return fitsNone
		default:
			return f
		}
	}
}

func always(f fits) cond { return func(*Packet) fits { return f } }

// fits tells how far a rule is about packets: no more than any of its conditions is.
func (r *rule) fits(p *Packet) fits {
	f := fitsAll
	for _, c := range r.conds {
		f = min(f, c(p))
	}
	return f
}

// ruleParser goes through the words of a rule.
type ruleParser struct {
	chain  string // the name of its chain, without that of the table
	words  []string
	conds  []cond
	invert bool // a "!" stood before
}

func (p *ruleParser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

// is adds a condition, turned round where a "!" stood before it.
func (p *ruleParser) is(c cond) {
	if p.invert {
		c = c.not()
	}
	p.conds, p.invert = append(p.conds, c), false
}

// option reads an option and its values.
func (p *ruleParser) option(name string) {
	switch name {
	case "!":
		p.invert = true
	case "-s", "--source", "-d", "--destination":
		p.is(inRange(p.next(), strings.HasPrefix(strings.TrimLeft(name, "-"), "s")))
	case "-i", "--in-interface", "-o", "--out-interface":
		p.is(onInterface(p.next(), strings.HasPrefix(strings.TrimLeft(name, "-"), "i")))
	case "-4", "-6":
		p.is(ofFamily(name == "-6"))
	case "-f", "--fragment":
		p.is(always(fitsSome))
	case "-p", "--protocol":
		p.is(ofProtocol(p.next()))
	case "-m", "--match":
		p.module(p.next())
	case "--ctstate", "--state":
		p.is(inState(p.next()))
	case "--ctstatus":
		p.is(ofStatus(p.next()))
	case "--src-type", "--dst-type":
		p.is(ofType(p.next()))
	case "--dport", "--dports", "--sport", "--sports", "--ports", "--destination-port", "--source-port", "--tcp-flags", "--tcp-option":
		p.values()
		p.is(always(fitsSome))
	case "--syn":
		p.is(always(fitsSome))
	case "--icmp-type", "--icmpv6-type":
		p.next()
		p.is(always(fitsNone))
	case "--mark":
		p.next()
		p.is(marked(p.chain))
	case "--comment", "--nfacct-name":
		p.next()
	default:
		p.values()
		p.is(always(fitsUnknown))
	}
}

// values passes over the values of an option.
func (p *ruleParser) values() {
	for len(p.words) > 0 && !strings.HasPrefix(p.words[0], "-") && p.words[0] != "!" {
		p.next()
	}
}

// module reads the name of a match. Of those whose options are known nothing follows from
// the name; of others the options are passed over.
func (p *ruleParser) module(name string) {
	switch name {
	case "comment", "tcp", "udp", "th", "multiport", "conntrack", "state", "addrtype", "icmp", "icmp6", "icmpv6", "nfacct", "mark":
		return
	case "limit", "hashlimit", "recent", "connlimit", "connbytes", "statistic", "quota", "time", "length", "string", "tcpmss", "ttl", "hl",
		"dscp", "tos", "ecn", "u32":
		p.skip()
		p.conds = append(p.conds, always(fitsSome))
	default:
		p.skip()
		p.conds = append(p.conds, always(fitsUnknown))
	}
	p.invert = false
}

// skip passes over the options of a match, up to the next one or the target.
func (p *ruleParser) skip() {
	own := func(word string) bool { return len(word) != 2 || word[0] != '-' }
	for len(p.words) > 0 && own(p.words[0]) {
		if len(p.words) > 1 && p.words[0] == "!" && !own(p.words[1]) {
			return
		}
		p.next()
	}
}

// inRange is the condition that the source, or the destination, lies in a range, or in one
// of several with commas between them.
func inRange(text string, source bool) cond {
	var ranges []netip.Prefix
	for _, part := range strings.Split(text, ",") {
		r, ok := parseRange(part)
		if !ok {
			return always(fitsUnknown)
		}
		ranges = append(ranges, r)
	}
	return func(p *Packet) fits {
		of := p.To
		if source {
			of = p.From
		}
		f := fitsNone
		for _, r := range ranges {
			switch {
			case r.Overlaps(of) && r.Bits() <= of.Bits():
				return fitsAll
			case r.Overlaps(of):
				f = fitsSome
			}
		}
		return f
	}
}

// parseRange reads a range or an address.
func parseRange(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	ip, err := netip.ParseAddr(text)
	return netip.PrefixFrom(ip, ip.BitLen()), err == nil
}

// onInterface is the condition that the packets come by, or leave by, an interface, whose
// name may end with + or * for any end.
func onInterface(names string, in bool) cond {
	list := strings.Split(names, ",")
	return func(p *Packet) fits {
		by := p.Out
		if in {
			by = p.In
		}
		matching := 0
		for _, dev := range by {
			if slices.ContainsFunc(list, func(name string) bool { return named(dev, name) }) {
				matching++
			}
		}
		switch {
		case len(by) == 0 && !slices.Equal(list, []string{"lo"}): // nothing is forwarded from or to lo
			return fitsUnknown
		case matching == 0:
			return fitsNone
		case matching < len(by):
			return fitsSome
		}
		return fitsAll
	}
}

func named(dev, name string) bool {
	if strings.HasSuffix(name, "+") || strings.HasSuffix(name, "*") {
		return strings.HasPrefix(dev, name[:len(name)-1])
	}
	return dev == name
}

func ofFamily(six bool) cond {
	return func(p *Packet) fits { return fit(p.From.Addr().Is6() == six) }
}

func ofProtocol(names string) cond {
	return func(p *Packet) fits {
		return fit(slices.ContainsFunc(strings.Split(names, ","), func(name string) bool {
			return name == "all" || name == "0" || name == p.Proto || name == "6" && p.Proto == "tcp" || name == "17" && p.Proto == "udp"
		}))
	}
}

// inState is the condition that conntrack holds the packets to be in one of some states.
func inState(states string) cond {
	return func(p *Packet) fits {
		return fit(slices.ContainsFunc(strings.Split(strings.ToUpper(states), ","), func(state string) bool {
			return state == "NEW" && !p.Reply || state == "ESTABLISHED" && p.Reply || state == "DNAT" && p.Translated
		}))
	}
}

// marked is the condition that packets bear a mark. In kube-proxy's own chain it is the one
// that only those bear which went to a Service and need another source.
func marked(chain string) cond {
	return func(p *Packet) fits {
		if chain == "KUBE-FORWARD" && !p.Translated {
			return fitsNone
		}
		return fitsUnknown
	}
}

func ofStatus(statuses string) cond {
	if !strings.EqualFold(statuses, "DNAT") {
		return always(fitsUnknown)
	}
	return func(p *Packet) fits { return fit(p.Translated) }
}

// ofType is the condition that an address is of a type. Those of pods on other nodes are
// unicast, and not the node's own.
func ofType(names string) cond {
	return func(*Packet) fits {
		return fit(slices.Contains(strings.Split(strings.ToUpper(names), ","), "UNICAST"))
	}
}
