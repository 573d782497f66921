package host

import (
	"fmt"
	"strings"
)

// ruleset holds the chains of packet filters by the names under which their rules stand:
// "filter/FORWARD" of iptables, "inet/firewalld/filter_FORWARD" of nftables.
type ruleset map[string]*chain

// chain is a list of rules. One that a hook of the kernel calls has a policy.
type chain struct {
	policy string // ACCEPT, DROP; "-" or "" for a chain that rules alone lead to
	rules  []rule
}

// rule is a line of a chain.
type rule struct {
	text   string
	conds  []cond
	target string // in capitals: ACCEPT, DROP, RETURN …; "" where the rule only counts
	jump   string // the chain that it leads to, as the file names it, instead of target
	leave  bool   // that chain's end is this one's too: -g, goto
}

// parseIptables reads what iptables-save prints: tables from "*NAME" to COMMIT. The error says
// that the text is another, or was cut off, so that rules may be missing: those of the table
// that open names, where it is one, and of all that come after. No text at all is that of a
// node without tables.
func parseIptables(text string) (rs ruleset, open string, err error) {
	rs = ruleset{}
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '*' && table == "":
			table = line[1:]
		case table == "":
			return rs, "", fmt.Errorf("%.80q stands in no table", line)
		case line == "COMMIT":
			table = ""
		case line[0] == ':':
			words := strings.Fields(line[1:])
			if len(words) < 2 {
				return rs, table, fmt.Errorf("%.80q is no chain", line)
			}
			rs.chain(table + "/" + words[0]).policy = words[1]
		case !rs.add(table+"/", line):
			return rs, table, fmt.Errorf("%.80q is no rule", line)
		}
	}
	if table != "" {
		return rs, table, fmt.Errorf("cut off: table %.40q has no COMMIT", table)
	}
	return rs, "", nil
}

// parseNft reads /nft-rules, whose lines name family, table and chain in one.
func parseNft(text string) ruleset {
	rs := ruleset{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, found := strings.CutPrefix(line, ":"); found {
			if words := strings.Fields(name); len(words) > 0 {
				rs.chain(words[0])
			}
			continue
		}
		rs.add("", line)
	}
	return rs
}

func (rs ruleset) chain(name string) *chain {
	if rs[name] == nil {
		rs[name] = &chain{}
	}
	return rs[name]
}

// add takes a line "-A CHAIN …", with or without counters before it, and tells whether it was
// one.
func (rs ruleset) add(prefix, line string) bool {
	if counters, rest, found := strings.Cut(line, "] "); found && strings.HasPrefix(counters, "[") {
		line = rest
	}
	words := splitWords(line)
	if len(words) < 2 || words[0] != "-A" {
		return false
	}
	name := prefix + words[1]
	c := rs.chain(name)
	c.rules = append(c.rules, parseRule(name, line, words[2:]))
	return true
}

// parseRule reads what follows a chain's name in a line.
func parseRule(chain, line string, words []string) rule {
	cut := strings.LastIndexByte(chain, '/') + 1
	within, p := chain[:cut], ruleParser{chain: chain[cut:], words: words}
	r := rule{text: line}
	for len(p.words) > 0 {
		switch word := p.next(); word {
		case "-j", "--jump", "-g", "--goto":
			r.leave = strings.HasSuffix(word, "g") || strings.HasSuffix(word, "goto")
			r.aim(within, p.words)
			p.words = nil
		default:
			p.option(word)
		}
	}
	r.conds = p.conds
	return r
}

// aim sets where a rule leads, from the words after -j: a target or a chain, with or
// without family and table before its name, and of nftables also "jump CHAIN" or "goto CHAIN".
func (r *rule) aim(within string, words []string) {
	if len(words) == 0 {
		return
	}
	first := words[0]
	if len(words) > 1 && (first == "jump" || first == "goto") {
		r.leave = r.leave || first == "goto"
		first = words[1]
	} else if verdictOf(strings.ToUpper(first)) != toChain {
		r.target = strings.ToUpper(first)
		return
	}
	r.jump = within + strings.TrimPrefix(first, within)
}

// action is what a rule does with a packet.
type action int

const (
	toChain   action = iota // it is the name of a chain
	toAccept                // through, as far as this hook's chain goes
	toDrop                  // dropped or refused
	toReturn                // back to the chain that led here
	toNext                  // it only marks, counts or logs
	toUnknown               // another program decides
)

// verdictOf tells what a target of iptables' extensions, or a verdict of nftables, does.
func verdictOf(target string) action {
	switch target {
	case "ACCEPT":
		return toAccept
	case "DROP", "REJECT", "TARPIT":
		return toDrop
	case "RETURN":
		return toReturn
	case "NFQUEUE", "QUEUE", "UNKNOWN", "SYNPROXY":
		return toUnknown
	case "", "CONTINUE", "LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "MARK", "CONNMARK", "SECMARK", "CONNSECMARK", "TCPMSS", "TCPOPTSTRIP",
		"TOS", "DSCP", "ECN", "TTL", "HL", "CT", "NOTRACK", "SET", "CLASSIFY", "CHECKSUM", "IDLETIMER", "LED", "RATEEST", "HMARK":
		return toNext
	}
	return toChain
}

// splitWords splits a line as a shell does: what stands between quotation marks is one word.
func splitWords(line string) []string {
	var out []string
	var word strings.Builder
	quoted, started, escaped := false, false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped, started = true, true
		case r == '"':
			quoted, started = !quoted, true
		case !quoted && (r == ' ' || r == '\t'):
			if started {
				out = append(out, word.String())
				word.Reset()
				started = false
			}
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		out = append(out, word.String())
	}
	return out
}
