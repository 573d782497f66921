package netfilter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rule takes a message about a rule.
func (n *NFT) Rule(data []byte) error {
	const table, chain = 1, 2
	family, a, err := message(data)
	if err != nil {
		return err
	}
	if n.rules++; n.rules > mostRules {
		return fmt.Errorf("more than %d rules", mostRules)
	}
	t := n.tables[family][string(untilZero(a[table]))]
	if t == nil {
		return errors.New("a rule belongs to no table")
	}
	name := untilZero(a[chain])
	c := t.chains[string(name)]
	if c != nil {
		c.rules++
	}
	switch {
	case t.keeper == keeperIPTables:
		n.state(t, nil).only(&a, func(r *Rule) { n.save(family).Rule(t.name, name, r) })
	case t.keeper == keeperKubeProxy && c != nil:
		n.state(t, nil).only(&a, func(r *Rule) { t.proxyRule(c.name, r) })
	case t.keeper == keeperOther && c != nil && t.filters():
		return n.keep(t, c, data)
	}
	return nil
}

// state begins to read a rule; what was read before is over.
func (n *NFT) state(t *nftTable, elements func(string) ([]Element, bool)) *state {
	s := &n.reader
	if s.rule == nil {
		s.rule, s.room = &Rule{}, new(int)
	}
	*s.rule, *s.room = Rule{Matches: s.rule.Matches[:0]}, mostAlternatives
	*s = state{rule: s.rule, room: s.room, steps: s.steps, family: t.family, v6: t.family == familyIPv6, links: n.Links, elements: elements}
	return s
}

// only reads the expressions of a rule, and the comment beside them.
func (s *state) only(a *attrs, done func(*Rule)) {
	const list, beside = 4, 7
	var whole bool
	s.steps, whole = expressions(s.steps[:0], a[list])
	if !whole {
		s.rule.unknown()
	}
	if text := besideComment(a[beside]); text != "" {
		s.rule.match("comment", "--comment "+quote(text))
	}
	s.run(s.steps, done)
}

// besideComment reads the comment that nft keeps beside a rule: kind, length, text.
func besideComment(b []byte) string {
	const comment = 0
	for len(b) >= 2 {
		size := int(b[1])
		if size > len(b)-2 {
			return ""
		}
		if b[0] == comment {
			return string(untilZero(b[2 : 2+size]))
		}
		b = b[2+size:]
	}
	return ""
}

// filters tells whether a table has a chain at a hook whose rules are shown.
func (t *nftTable) filters() bool {
	for _, c := range t.chains {
		if c.shown(t.family) {
			return true
		}
	}
	return false
}

// shown tells whether a chain is at one of the hooks where packets are let through or not.
func (c *nftChain) shown(family byte) bool {
	ip := family == familyIPv4 || family == familyIPv6 || family == familyINet || family == familyBridge
	return c.base && ip && c.hook >= 1 && c.hook <= 3
}

// keep keeps a rule until the sets that it names are known.
func (n *NFT) keep(t *nftTable, c *nftChain, data []byte) error {
	if n.raw += len(data); n.raw > mostRaw {
		return fmt.Errorf("tables of others take more than %d bytes", mostRaw)
	}
	c.raw = append(c.raw, slices.Clone(data))
	const expressionList = 4
	_, a, _ := message(data)
	steps, _ := expressions(nil, a[expressionList])
	for _, step := range steps {
		const set = 1
		// Sets without a name of their own are what stands in braces in a rule; others may
		// be huge, and change.
		if name := step.data.text(set); step.name == "lookup" && anonymous(name) {
			t.sets[name] = nil
		}
	}
	return nil
}

func anonymous(set string) bool {
	return strings.HasPrefix(set, "__set") || strings.HasPrefix(set, "__map")
}
