package host

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Verdict is what becomes of packets.
type Verdict int

// The verdicts.
const (
	Accepted  Verdict = iota + 1
	Dropped           // or refused
	Undecided         // some rule on the way could not be judged, and it depends on that
)

// Ruling is a verdict and what brings it about.
type Ruling struct {
	Verdict Verdict
	File    string // where that stands
	Text    string // the rule, or the chain with its policy; of Undecided what could not be judged; of Accepted nothing
}

// Firewall is what of a node's packet filters is about packets that the node forwards.
type Firewall struct {
	bases []base
}

// base is a chain that the kernel leads every forwarded packet through. What one of them
// drops is dropped, whatever the others accept.
type base struct {
	file   string
	title  string // "ip hardening forward"; "" where the whole file makes no sense
	name   string // in rules
	policy string
	rules  ruleset
	lacks  string // why its rules are not known, or ""
}

// The files that packet filters stand in.
const (
	NftChains = "/nft-chains"
	NftRules  = "/nft-rules" // of nftables' own tables: -A FAMILY/TABLE/CHAIN, then as iptables-save
)

// FirewallFiles names the files that tell what a node's packet filters do with packets of a
// family: those without which Firewall knows a part alone. NftRules is not among them: it
// matters only where NftChains names a chain with rules.
func FirewallFiles(six bool) []string {
	if six {
		return []string{"/ip6tables-save", "/ip6tables-legacy-save", NftChains}
	}
	return []string{"/iptables-save", "/iptables-legacy-save", NftChains}
}

// Firewall reads the node's packet filters for a family, as far as their files were read. Of a
// file that makes no sense, or was cut off, the tables before that decide, and what the others
// do is undecided.
func (v View) Firewall(six bool) Firewall {
	var f Firewall
	compat := ruleset{}
	for i, file := range FirewallFiles(six)[:2] {
		text, _ := v.Read(file)
		rs, open, err := parseIptables(text)
		if err != nil {
			f.bases = append(f.bases, base{file: file, lacks: err.Error()})
			maps.DeleteFunc(rs, func(name string, _ *chain) bool { return strings.HasPrefix(name, open+"/") })
		}
		if i == 0 {
			compat = rs
		}
		for _, table := range []string{"mangle", "filter", "security"} {
			if c := rs[table+"/FORWARD"]; c != nil {
				f.bases = append(f.bases, base{file: file, title: table + " FORWARD", name: table + "/FORWARD", policy: c.policy, rules: rs})
			}
		}
	}
	f.bases = append(f.bases, v.nftBases(six, compat)...)
	return f
}

// nftBases returns the chains of nftables' own tables. Those that iptables made there stand
// in compat already.
func (v View) nftBases(six bool, compat ruleset) []base {
	family := "ip"
	if six {
		family = "ip6"
	}
	text, _ := v.Read(NftChains)
	ruleText, _ := v.Read(NftRules)
	rs := parseNft(ruleText)
	var out []base
	for line := range strings.Lines(text) {
		c, ok := parseNftChain(line)
		switch {
		case strings.TrimSpace(line) == "":
			continue
		case !ok:
			out = append(out, base{file: NftChains, lacks: "a line is none", title: strings.TrimSpace(line)})
			continue
		case c.hook != "forward" || c.family != family && c.family != "inet" || ofPlugin(c.table):
			continue
		case c.family == family && compat[c.table+"/"+c.name] != nil:
			continue
		}
		b := base{file: NftChains, title: c.family + " " + c.table + " " + c.name, name: c.family + "/" + c.table + "/" + c.name, policy: c.policy, rules: rs}
		if known := rs[b.name]; c.rules > 0 && (known == nil || len(known.rules) < c.rules) {
			b.lacks = cmp.Or(v.Unknown(NftRules), "not all of its rules stand in "+NftRules)
		}
		out = append(out, b)
	}
	return out
}

// Forward tells what becomes of packets that the node is to forward: dropped if any filter
// drops them, and else undecided if any may.
func (f Firewall) Forward(p Packet) Ruling {
	out := Ruling{Verdict: Accepted}
	for _, b := range f.bases {
		switch r := b.forward(&p); {
		case r.Verdict == Dropped:
			return r
		case r.Verdict == Undecided && out.Verdict == Accepted:
			out = r
		}
	}
	return out
}

func (b *base) forward(p *Packet) Ruling {
	quote := b.title + ": policy " + strings.ToLower(b.policy)
	drops := strings.EqualFold(b.policy, "drop")
	if b.lacks != "" {
		return Ruling{Undecided, b.file, strings.TrimPrefix(b.title+": "+b.lacks, ": ")}
	}
	w := walker{rules: b.rules, packet: p, open: b.file != NftChains, done: map[string]end{}}
	e := w.walk(b.name, 0)
	if e.mayReturn { // what comes back meets the policy
		e.may(!drops, drops, e.doubt)
	}
	file := b.file
	if e.at != toReturn {
		drops, quote = e.at == toDrop, e.by
		if file == NftChains {
			file = NftRules
		}
	}
	switch {
	case drops && e.mayAccept, !drops && e.mayDrop:
		return Ruling{Undecided, file, e.doubt}
	case drops:
		return Ruling{Dropped, file, quote}
	}
	return Ruling{Verdict: Accepted}
}

// end is how packets leave a chain, as far as its rules are certain, and what those might
// bring about that are not.
type end struct {
	at                            action // toAccept, toDrop, or toReturn
	by                            string // the rule
	mayAccept, mayDrop, mayReturn bool
	doubt                         string // the first rule that could not be judged
}

func (e *end) may(accept, drop bool, text string) {
	e.mayAccept, e.mayDrop = e.mayAccept || accept, e.mayDrop || drop
	if accept || drop {
		e.doubt = cmp.Or(e.doubt, text)
	}
}

// mostJumps is how deep chains may lead into each other. The kernel allows no more than 16
// of nftables (NFT_JUMP_STACK_SIZE), and no circle.
const mostJumps = 16

// walker leads packets through chains, each once.
type walker struct {
	rules  ruleset
	packet *Packet
	done   map[string]end
	open   bool // what is no chain is a target that is not known here: so it is with iptables, not with nftables
}

func (w *walker) walk(name string, depth int) end {
	if e, known := w.done[name]; known {
		return e
	}
	c := w.rules[name]
	switch {
	case c == nil && w.open, depth > mostJumps:
		return end{at: toReturn, mayAccept: true, mayDrop: true, doubt: name}
	case c == nil:
		return end{at: toReturn}
	}
	e := end{at: toReturn}
	for i := range c.rules {
		if w.step(&e, &c.rules[i], depth) {
			break
		}
	}
	w.done[name] = e
	return e
}

// step takes packets past one rule, and tells whether none goes on to the next.
func (w *walker) step(e *end, r *rule, depth int) bool {
	f := r.fits(w.packet)
	if f == fitsNone {
		return false
	}
	if r.jump != "" {
		return w.jump(e, r, f, depth)
	}
	switch verdictOf(r.target) {
	case toAccept, toDrop:
		return e.settle(verdictOf(r.target), r.text, f)
	case toReturn:
		if f != fitsAll {
			e.mayReturn, e.doubt = true, cmp.Or(e.doubt, r.text)
		}
		return f == fitsAll
	case toUnknown:
		e.may(true, f != fitsSome, r.text)
	}
	return false
}

// settle notes what a rule does with the packets that it is about, and tells whether these
// are all. One that drops a part of them leaves the others as they are.
func (e *end) settle(at action, text string, f fits) bool {
	if f == fitsAll {
		e.at, e.by = at, text
		return true
	}
	e.may(at == toAccept, at == toDrop && f == fitsUnknown, text)
	return false
}

func (w *walker) jump(e *end, r *rule, f fits, depth int) bool {
	if ofPlugin(r.jump[strings.LastIndexByte(r.jump, '/')+1:]) {
		return e.settle(toAccept, r.text, f)
	}
	sub := w.walk(r.jump, depth+1)
	e.may(sub.mayAccept, sub.mayDrop && f != fitsSome, sub.doubt)
	if sub.mayReturn || f != fitsAll {
		e.may(sub.at == toAccept, sub.at == toDrop && f != fitsSome, cmp.Or(sub.doubt, r.text))
		e.mayReturn = e.mayReturn || r.leave
		return false
	}
	if sub.at != toReturn {
		e.at, e.by = sub.at, sub.by
	}
	return sub.at != toReturn || r.leave
}

// ofPlugin tells whether a chain or table is a network plugin's or kube-proxy's own, which
// decides by NetworkPolicies and Services what passes: that is no node's firewall.
func ofPlugin(name string) bool {
	prefixes := []string{"cali-", "CILIUM_", "WEAVE", "KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-", "AZURE-NPM", "ANTREA-", "OVN-KUBE-", "CNI-",
		"calico", "cilium", "antrea", "ovn-kubernetes", "kindnet", "kube-network-policies", "kube-proxy", "flannel-ipv", "azure-npm"}
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
