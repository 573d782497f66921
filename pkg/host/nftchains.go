package host

import (
	"strconv"
	"strings"
)

// nftChain is a line of /nft-chains: family table chain type hook priority policy rules.
type nftChain struct {
	family, table, name, hook, policy string
	rules                             int
}

func parseNftChain(line string) (c nftChain, ok bool) {
	words := splitWords(strings.TrimSpace(line))
	if len(words) != 8 {
		return c, false
	}
	rules, err := strconv.Atoi(words[7])
	return nftChain{words[0], words[1], words[2], words[4], words[6], rules}, err == nil
}

// NftTable tells whether nftables has a table of that name, in any family, with a chain that
// the kernel calls.
func (v View) NftTable(name string) bool {
	text, _ := v.Read(NftChains)
	for line := range strings.Lines(text) {
		if c, ok := parseNftChain(line); ok && c.table == name {
			return true
		}
	}
	return false
}
