package host

import (
	"fmt"
	"slices"
	"strings"
)

// IPTables is what one of a node's iptables holds, as iptables-save prints it.
type IPTables struct{ rules ruleset }

// IPTables reads one of the files that FirewallFiles names first; what was not read is empty.
// The error says that the text is not what iptables-save prints, or was cut off: then what
// stands before that is all that is returned.
func (v View) IPTables(file string) (IPTables, error) {
	text, _ := v.Read(file)
	rules, _, err := parseIptables(text)
	if err != nil {
		err = fmt.Errorf("%s is not what iptables-save prints: %w", file, err)
	}
	return IPTables{rules}, err
}

// Has tells whether a table has a chain, with or without rules.
func (t IPTables) Has(table, chain string) bool { return t.rules[table+"/"+chain] != nil }

// Rules returns the rules of a table's chain, as lines.
func (t IPTables) Rules(table, chain string) []string {
	var out []string
	if c := t.rules[table+"/"+chain]; c != nil {
		for i := range c.rules {
			out = append(out, c.rules[i].text)
		}
	}
	return out
}

// Called returns the chains that start with a prefix and that rules of the kernel's own
// chains lead to, as TABLE/CHAIN, sorted. A chain that nobody calls does nothing.
func (t IPTables) Called(prefix string) []string {
	var out []string
	for _, c := range t.rules {
		if c.policy == "-" || c.policy == "" {
			continue
		}
		for i := range c.rules {
			if _, name, _ := strings.Cut(c.rules[i].jump, "/"); strings.HasPrefix(name, prefix) {
				out = append(out, c.rules[i].jump)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
