package netfilter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// NFT gathers what nf_tables holds, from the messages of its dumps without their head. They
// come in the order Table, Chain, Classify, Rule, Elements, and one at a time.
type NFT struct {
	// Links are the names of the network interfaces by their number.
	Links map[uint32]string

	// V4 and V6 hold the tables that iptables-nft keeps.
	V4, V6 *Save

	tables map[byte]map[string]*nftTable
	rules  int
	raw    int
	reader state // of the rule that is read
}

// SetRef names a set whose elements are wanted.
type SetRef struct {
	Family byte
	Table  string
	Set    string
}

type nftTable struct {
	family byte
	name   string
	keeper keeper
	chains map[string]*nftChain
	sets   map[string][]Element // those that are wanted
	cut    map[string]bool      // sets with elements that cannot be read
	proxy  resolver
}

// keeper tells who keeps a table, and with that how it is read.
type keeper uint8

const (
	keeperOther keeper = iota
	keeperIPTables
	keeperKubeProxy
	// keeperNobody has a table that is switched off: no packet comes by.
	keeperNobody
)

type nftChain struct {
	name     string
	base     bool
	hook     uint32
	priority int32
	kind     string
	policy   string
	rules    int
	raw      [][]byte // rules of a table of others
}

// Bounds of what is read of one node; a cluster of 10,000 Services has 200,000 rules.
const (
	mostRules    = 1 << 20
	mostRaw      = 16 << 20
	mostSets     = 100_000
	mostElements = 1 << 20
)

// NewNFT returns an empty one.
func NewNFT(links map[uint32]string) *NFT {
	return &NFT{Links: links, V4: NewSave("iptables"), V6: NewSave("iptables"), tables: map[byte]map[string]*nftTable{}}
}

// message takes the family off, and reads the attributes.
func message(data []byte) (family byte, a attrs, err error) {
	if len(data) < 4 {
		return 0, a, errors.New("a message of nf_tables is cut off")
	}
	a, whole := parseAttrs(data[4:])
	if !whole {
		return 0, a, errors.New("a message of nf_tables is damaged")
	}
	return data[0], a, nil
}

// Table takes a message about a table.
func (n *NFT) Table(data []byte) error {
	const name, flags, dormant = 1, 2, 1
	family, a, err := message(data)
	if err != nil {
		return err
	}
	t := &nftTable{family: family, name: a.text(name), chains: map[string]*nftChain{}, sets: map[string][]Element{}, cut: map[string]bool{}}
	if a.u32(flags)&dormant != 0 {
		t.keeper = keeperNobody
	}
	if n.tables[family] == nil {
		n.tables[family] = map[string]*nftTable{}
	}
	n.tables[family][t.name] = t
	return nil
}

// Chain takes a message about a chain.
func (n *NFT) Chain(data []byte) error {
	const table, name, hook, policy, kind = 1, 3, 4, 5, 7
	family, a, err := message(data)
	if err != nil {
		return err
	}
	t := n.tables[family][a.text(table)]
	if t == nil {
		return errors.New("a chain belongs to no table")
	}
	c := &nftChain{name: a.text(name)}
	if a[hook] != nil {
		const number, priority = 1, 2
		at, _ := parseAttrs(a[hook])
		c.base, c.hook, c.priority = true, at.u32(number), int32(at.u32(priority))
		c.kind = a.text(kind)
		if c.policy = Unknown; len(a[policy]) == 4 && a.u32(policy) <= 1 {
			c.policy = []string{"drop", "accept"}[a.u32(policy)]
		}
	}
	t.chains[c.name] = c
	return nil
}

// Classify finds out who keeps which table; every table and chain is known by then.
func (n *NFT) Classify() {
	for family, tables := range n.tables {
		for _, t := range tables {
			switch {
			case t.keeper == keeperNobody:
			case t.name == "kube-proxy" && (family == familyIPv4 || family == familyIPv6):
				t.keeper = keeperKubeProxy
				t.proxied()
			case t.iptables():
				t.keeper = keeperIPTables
				t.fill(n.save(family))
			}
		}
	}
}

// ChainRef names a chain whose rules are wanted.
type ChainRef struct {
	Family       byte
	Table, Chain string
}

// WantedChains returns the chains whose rules are needed, sorted. To ask for one after the
// other takes a tenth of the time: the kernel goes through all rules again for every part of
// a longer answer.
func (n *NFT) WantedChains() []ChainRef {
	var out []ChainRef
	for _, family := range sortedKeys(n.tables) {
		for _, name := range sortedKeys(n.tables[family]) {
			t := n.tables[family][name]
			for _, c := range sortedKeys(t.chains) {
				if t.keeper != keeperNobody && (t.keeper != keeperOther || t.filters() || t.chains[c].base) {
					out = append(out, ChainRef{family, name, c})
				}
			}
		}
	}
	return out
}

func (n *NFT) save(family byte) *Save {
	if family == familyIPv6 {
		return n.V6
	}
	return n.V4
}

// iptables tells whether a table is one of iptables-nft: its name is, and so is each of its
// chains that has a hook.
func (t *nftTable) iptables() bool {
	if t.family != familyIPv4 && t.family != familyIPv6 || !slices.Contains([]string{"filter", "nat", "mangle", "raw", "security"}, t.name) {
		return false
	}
	for _, c := range t.chains {
		if c.base && c.name != builtin(c.hook) {
			return false
		}
	}
	return true
}

func (t *nftTable) fill(save *Save) {
	save.Table(t.name)
	for _, c := range t.chains {
		policy := "-"
		if c.base {
			policy = strings.ToUpper(c.policy)
		}
		save.Chain(t.name, c.name, policy, int(c.hook))
	}
}

// WantedSets returns the sets whose elements are needed, sorted.
func (n *NFT) WantedSets() ([]SetRef, error) {
	var out []SetRef
	for _, family := range []byte{familyIPv4, familyIPv6, familyINet, familyBridge} {
		for _, name := range sortedKeys(n.tables[family]) {
			for _, set := range sortedKeys(n.tables[family][name].sets) {
				out = append(out, SetRef{family, name, set})
			}
		}
	}
	if len(out) > mostSets {
		return nil, fmt.Errorf("more than %d sets", mostSets)
	}
	return out, nil
}
