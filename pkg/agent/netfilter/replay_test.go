package netfilter

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// What the kernel answered is in testdata; package agent's TestRecord writes it, and its
// rules are in ../testdata/netfilter.

func read(t testing.TB, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// replay gives recorded messages to be read.
func replay(t testing.TB, recorded string) *NFT {
	t.Helper()
	n := NewNFT(map[uint32]string{1: "lo"})
	classified := false
	for line := range strings.Lines(recorded) {
		words := strings.Fields(line)
		data := decode(t, words[len(words)-1])
		var err error
		switch {
		case words[0] == "table":
			err = n.Table(data)
		case words[0] == "chain":
			err = n.Chain(data)
		case !classified:
			n.Classify()
			classified = true
			fallthrough
		default:
			if words[0] == "rule" {
				err = n.Rule(data)
				break
			}
			family, _ := strconv.Atoi(words[1])
			err = n.Elements(SetRef{byte(family), words[2], words[3]}, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// replayLegacy gives recorded tables to be read.
func replayLegacy(t testing.TB, recorded string, v6 bool) *Save {
	t.Helper()
	save := NewSave("iptables-legacy")
	for line := range strings.Lines(recorded) {
		words := strings.Fields(line)
		info, err := ParseLegacyInfo(decode(t, words[1]))
		if err != nil {
			t.Fatal(err)
		}
		if err := Legacy(save, words[0], v6, info, decode(t, words[2])); err != nil {
			t.Fatal(err)
		}
	}
	return save
}

func TestReplaySave(t *testing.T) {
	for _, family := range []string{"4", "6"} {
		program := map[string]string{"4": "iptables", "6": "ip6tables"}[family]
		nft := replay(t, read(t, "testdata", program+"-nft-options"+family+".txt"))
		of := map[string]*Save{
			"nft":    map[string]*Save{"4": nft.V4, "6": nft.V6}[family],
			"legacy": replayLegacy(t, read(t, "testdata", program+"-legacy-options"+family+".txt"), family == "6"),
		}
		for kind, save := range of {
			t.Run(program+"-"+kind, func(t *testing.T) {
				got, err := save.Text()
				if err != nil {
					t.Fatal(err)
				}
				want := read(t, "..", "testdata", "netfilter", "options"+family+".save")
				unread := regexp.MustCompile(` --(limit \S+|log-prefix ("[^"]*"|\S+)|physdev-is-bridged|pkt-type \S+|uid-owner \S+)`)
				if diff := cmp.Diff(unread.ReplaceAllString(want, ""), got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

func TestReplayServices(t *testing.T) {
	for _, family := range []string{"4", "6"} {
		rules := replay(t, read(t, "testdata", "nft-kube-nftables"+family+".txt")).Services()
		got := strings.ReplaceAll(lines(rules), "nftables ", "MODE ")
		want := read(t, "..", "testdata", "netfilter", "kube-services"+family+".want")
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			t.Errorf("family %s: -want +got:\n%s", family, diff)
		}
	}
}

func lines(rules []host.ServiceRule) string {
	var out strings.Builder
	for _, rule := range rules {
		out.WriteString(rule.String() + "\n")
	}
	return out.String()
}

func sorted(text string) []string {
	set := map[string]bool{}
	for line := range strings.Lines(text) {
		set[line] = true
	}
	return sortedKeys(set)
}

func TestReplayFirewalls(t *testing.T) {
	n := replay(t, read(t, "testdata", "nft-firewalls.txt"))
	rules, err := n.Rules()
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, "..", "testdata", "netfilter", "firewalls.want")
	if diff := cmp.Diff(want, n.Chains()+"\n"+rules); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
