package netfilter

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzLegacy reads damaged tables: they are an error, or a text that is one.
func FuzzLegacy(f *testing.F) {
	for _, name := range []string{"iptables-legacy-options4.txt", "ip6tables-legacy-options6.txt"} {
		for line := range strings.Lines(read(f, "testdata", name)) {
			words := strings.Fields(line)
			f.Add(decode(f, words[1]), decode(f, words[2]), strings.HasPrefix(name, "ip6"))
		}
	}
	f.Fuzz(func(t *testing.T, rawInfo, entries []byte, v6 bool) {
		info, err := ParseLegacyInfo(rawInfo)
		if err != nil {
			return
		}
		save := NewSave("iptables-legacy")
		if err := Legacy(save, "nat", v6, info, entries); err != nil {
			return
		}
		text, err := save.Text()
		if err != nil {
			return
		}
		wantText(t, text)
		save.Services()
	})
}

// FuzzNFT reads damaged messages.
func FuzzNFT(f *testing.F) {
	for _, name := range []string{"nft-firewalls.txt", "nft-kube-nftables4.txt", "iptables-nft-options4.txt"} {
		for line := range strings.Lines(read(f, "testdata", name)) {
			if words := strings.Fields(line); words[0] == "rule" || words[0] == "elements" {
				f.Add(decode(f, words[len(words)-1]))
			}
		}
	}
	whole := read(f, "testdata", "nft-firewalls.txt") + read(f, "testdata", "nft-kube-nftables4.txt")
	var before []string
	for line := range strings.Lines(whole) {
		if strings.HasPrefix(line, "table") || strings.HasPrefix(line, "chain") {
			before = append(before, line)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n := replay(t, strings.Join(before, ""))
		n.Classify()
		_ = n.Rule(data)
		_ = n.Table(data)
		_ = n.Chain(data)
		sets, err := n.WantedSets()
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range sets {
			_ = n.Elements(set, data)
		}
		rules, err := n.Rules()
		if err != nil {
			return // too large
		}
		wantText(t, rules+n.Chains())
		for _, rule := range n.Services() {
			wantText(t, rule.String()+"\n")
		}
	})
}

// wantText fails where a text could not be sent, or lines in it be mistaken.
func wantText(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c < 0x80 }) {
		t.Fatalf("not printable: %q", text)
	}
	starts := []string{"*", ":", "-A ", "COMMIT", "ip ", "ip6 ", "inet ", "arp ", "bridge ", "netdev ", "nftables "}
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(starts, func(s string) bool { return strings.HasPrefix(line, s) }) && !unicode.IsDigit(rune(line[0])) {
			t.Fatalf("no line of any form: %q", line)
		}
	}
}
