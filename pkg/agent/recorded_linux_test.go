package agent

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent/netfilter"
)

// TestRecord writes what the kernel answers for package netfilter's own tests, which need
// neither root nor Linux. It does nothing without -update.
func TestRecord(t *testing.T) {
	if !*update {
		return
	}
	for _, r := range []struct{ name, program, family string }{
		{"options4", "iptables-nft", "4"}, {"options6", "ip6tables-nft", "6"},
		{"firewalls", "nft", ""}, {"kube-nftables4", "nft", ""}, {"kube-nftables6", "nft", ""},
		{"options4", "iptables-legacy", "4"}, {"options6", "ip6tables-legacy", "6"},
	} {
		t.Run(r.program+"/"+r.name, func(t *testing.T) {
			var text string
			switch r.program {
			case "nft":
				inNamespace(t, "nft")
				run(t, testdata(t, r.name+".nft"), "nft", "-f", "-")
				text = recordNFT(t)
			case "iptables-nft", "ip6tables-nft":
				inNamespace(t, r.program+"-restore")
				run(t, testdata(t, r.name+".save"), r.program+"-restore")
				text = recordNFT(t)
			default:
				inNamespace(t, r.program+"-restore")
				run(t, testdata(t, r.name+".save"), r.program+"-restore")
				text = recordLegacy(t, r.family == "6")
			}
			name := filepath.Join("netfilter", "testdata", r.program+"-"+r.name+".txt")
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// recordNFT returns a line for every message: its kind, for elements their set, and the
// message in base64.
func recordNFT(t *testing.T) string {
	t.Helper()
	c, err := dialNFT(time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	var out strings.Builder
	rules := netfilter.NewNFT(nil)
	record := func(head string, kind int, family byte, which []netlink.Attribute, take func([]byte) error) {
		err := c.dump(kind, family, which, func(data []byte) error {
			fmt.Fprintln(&out, head, base64.StdEncoding.EncodeToString(data))
			return take(data)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	record("table", unix.NFT_MSG_GETTABLE, 0, nil, rules.Table)
	record("chain", unix.NFT_MSG_GETCHAIN, 0, nil, rules.Chain)
	rules.Classify()
	for _, ref := range rules.WantedChains() {
		record("rule", unix.NFT_MSG_GETRULE, ref.Family, ofChain(ref), rules.Rule)
	}
	sets, err := rules.WantedSets()
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range sets {
		head := fmt.Sprint("elements ", ref.Family, " ", ref.Table, " ", ref.Set)
		record(head, unix.NFT_MSG_GETSETELEM, ref.Family, ofSet(ref), func([]byte) error { return nil })
	}
	return out.String()
}

// recordLegacy returns a line for every table: its name, and the two structures in base64.
func recordLegacy(t *testing.T, v6 bool) string {
	t.Helper()
	var out strings.Builder
	for _, table := range []string{"filter", "mangle", "nat", "raw"} {
		if v6 && (table == "mangle" || table == "raw") {
			continue
		}
		err := withLegacy(table, v6, func(info, entries []byte) error {
			fmt.Fprintln(&out, table, base64.StdEncoding.EncodeToString(info), base64.StdEncoding.EncodeToString(entries))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}
