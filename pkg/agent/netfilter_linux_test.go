package agent

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

var update = flag.Bool("update", false, "write what the tests expect")

// backends are the ways in which iptables can keep its rules.
func backends() []backend {
	return []backend{
		{"nft", "4", "iptables-nft", "/iptables-save"},
		{"nft", "6", "ip6tables-nft", "/ip6tables-save"},
		{"legacy", "4", "iptables-legacy", "/iptables-legacy-save"},
		{"legacy", "6", "ip6tables-legacy", "/ip6tables-legacy-save"},
	}
}

type backend struct{ kind, family, program, file string }

// TestSave holds what is read against what iptables-save prints of the same rules.
func TestSave(t *testing.T) {
	for _, b := range backends() {
		for _, rules := range []string{"options", "kube-iptables"} {
			t.Run(b.program+"/"+rules, func(t *testing.T) {
				inNamespace(t, b.program+"-restore")
				run(t, testdata(t, rules+b.family+".save"), b.program+"-restore")
				want := normal(run(t, "", b.program+"-save"))
				if got := normal(look(t)[b.file]); got != want {
					t.Errorf("-want +got:\n%s", cmp.Diff(want, got))
				}
			})
		}
	}
}

// normal leaves out what the text is not to have, and what is not read, and sorts tables and
// chains.
func normal(save string) string {
	single := regexp.MustCompile(`^(:|-A )KUBE-(SVC|SVL|SEP|EXT|FW)-|^-A KUBE-(SERVICES|NODEPORTS|EXTERNAL-SERVICES) .*--dport .*-j (KUBE|REJECT|DROP)`)
	unread := regexp.MustCompile(` --(limit \S+|log-prefix ("[^"]*"|\S+)|physdev-is-bridged|pkt-type \S+|uid-owner \S+)`)
	counters := regexp.MustCompile(`\[\d+:\d+\]`)
	tables := map[string][]string{}
	table := ""
	for line := range strings.Lines(save) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line == "COMMIT", strings.HasPrefix(line, "#"), single.MatchString(line):
		case strings.HasPrefix(line, "*"):
			table = line
			tables[table] = nil
		default:
			line = counters.ReplaceAllString(unread.ReplaceAllString(line, ""), "[0:0]")
			tables[table] = append(tables[table], line)
		}
	}
	var out []string
	for name, lines := range tables {
		slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(chainOf(a), chainOf(b)) })
		out = append(out, name+"\n"+strings.Join(lines, "\n")+"\n")
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

func chainOf(line string) string {
	if strings.HasPrefix(line, ":") {
		return ":" + strings.Fields(line)[0]
	}
	return "A " + strings.Fields(line)[1]
}

// TestServiceRules resolves what kube-proxy wrote on a node of a cluster with Services of
// every kind, in each of its modes.
func TestServiceRules(t *testing.T) {
	for _, b := range backends() {
		t.Run(b.program, func(t *testing.T) {
			inNamespace(t, b.program+"-restore")
			run(t, testdata(t, "kube-iptables"+b.family+".save"), b.program+"-restore")
			mode := map[string]string{"nft": "iptables", "legacy": "iptables-legacy"}[b.kind]
			wantServices(t, b.family, mode, look(t))
		})
	}
	for _, family := range []string{"4", "6"} {
		t.Run("nftables"+family, func(t *testing.T) {
			inNamespace(t, "nft")
			run(t, testdata(t, "kube-nftables"+family+".nft"), "nft", "-f", "-")
			wantServices(t, family, "nftables", look(t))
		})
	}
}

func wantServices(t *testing.T, family, mode string, files map[string]string) {
	t.Helper()
	got := files[host.ServiceRules]
	if _, err := host.ParseServiceRules(got); err != nil {
		t.Error(err)
	}
	got = strings.ReplaceAll(got, mode+" ", "MODE ")
	compare(t, "kube-services"+family+".want", got)
}

// compare holds a text against a file of testdata, or writes it.
func compare(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "netfilter", name), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := testdata(t, name); got != want {
		t.Errorf("not as in %s (go test ./pkg/agent -run '^%s$' -update writes it):\n%s", name, t.Name(), cmp.Diff(want, got))
	}
}

// TestFirewalls reads tables of others: a firewall's, and one by hand.
func TestFirewalls(t *testing.T) {
	inNamespace(t, "nft")
	run(t, testdata(t, "firewalls.nft"), "nft", "-f", "-")
	files := look(t)
	compare(t, "firewalls.want", files["/nft-chains"]+"\n"+files["/nft-rules"])
	if text, found := files["/iptables-save"]; found {
		t.Errorf("nothing is of iptables, but: %s", text)
	}
}

// TestNothing reads a namespace in which nothing is: neither a file nor a gap, but that
// kube-proxy wrote nothing is said.
func TestNothing(t *testing.T) {
	inNamespace(t)
	files := look(t)
	if rules, found := files[host.ServiceRules]; !found || rules != "" || len(files) != 1 {
		t.Errorf("got %v", files)
	}
}
