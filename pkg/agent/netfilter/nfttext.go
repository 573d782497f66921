package netfilter

import (
	"fmt"
	"slices"
	"strings"
)

// Chains returns a line for every chain at a hook: family, table, chain, type, hook,
// priority, policy and number of rules.
func (n *NFT) Chains() string {
	var lines []string
	for family, tables := range n.tables {
		for _, t := range tables {
			for _, c := range t.chains {
				if c.base && t.keeper != keeperNobody {
					lines = append(lines, fmt.Sprintf("%s %s %s %s %s %d %s %d\n", familyName(family), word(t.name), word(c.name),
						word(c.kind), hookName(family, c.hook), c.priority, c.policy, c.rules))
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// Rules returns the rules of chains at the hooks input, forward and output of tables that
// neither iptables-nft nor kube-proxy keeps, and of the chains that they lead to.
func (n *NFT) Rules() (string, error) {
	var b strings.Builder
	for _, family := range sortedKeys(n.tables) {
		for _, name := range sortedKeys(n.tables[family]) {
			t := n.tables[family][name]
			if t.keeper != keeperOther {
				continue
			}
			t.write(n, &b)
			if b.Len() > mostText {
				return "", fmt.Errorf("larger than %d bytes", mostText)
			}
		}
	}
	return b.String(), nil
}

func (t *nftTable) write(n *NFT, b *strings.Builder) {
	var next []string
	for _, name := range sortedKeys(t.chains) {
		if t.chains[name].shown(t.family) {
			next = append(next, name)
		}
	}
	seen := map[string]bool{}
	for len(next) > 0 {
		c := t.chains[next[0]]
		next = next[1:]
		if c == nil || seen[c.name] {
			continue
		}
		seen[c.name] = true
		for _, raw := range c.raw {
			_, a, _ := message(raw)
			n.state(t, t.elements).only(&a, func(r *Rule) {
				if r.Chain {
					next = append(next, r.jump)
					r.Target = t.path(r.jump)
				}
				b.WriteString(r.Text(t.path(c.name)))
				b.WriteByte('\n')
			})
			if b.Len() > mostText {
				return
			}
		}
	}
}

// path names a chain of a table of others.
func (t *nftTable) path(chain string) string {
	return familyName(t.family) + "/" + word(t.name) + "/" + word(chain)
}

// elements returns the elements of a set that is written out in a rule.
func (t *nftTable) elements(set string) ([]Element, bool) {
	list, wanted := t.sets[set]
	return ranges(list), wanted && !t.cut[set] && len(list) > 0 && len(list) <= 2*mostAlternatives
}
