package agent

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// TestRemovedRule takes each of the rules of iptables away, one at a time, and sees it.
func TestRemovedRule(t *testing.T) {
	// What only marks packets, remembers clients or counts leads nowhere. Of rules which
	// lead to the same place for different sources, one alone is not missed.
	unseen := regexp.MustCompile(`^-A KUBE-(SVC|SVL|SEP|EXT)-.* (-j KUBE-MARK-MASQ|-m recent --rcheck .*)$` +
		`|^-A KUBE-NODEPORTS -d (127.0.0.0/8|::1/128) |^-A KUBE-FW-|^-A KUBE-EXT-.*(pod traffic for|route LOCAL traffic)`)
	for _, b := range backends() {
		if b.kind == "nft" && b.family == "6" {
			continue // hundreds of rule sets are loaded, which take long, and the other family's tell the same
		}
		t.Run(b.program, func(t *testing.T) {
			if b.kind == "nft" && testing.Short() {
				t.Skip("loads hundreds of rule sets: not with -short")
			}
			inNamespace(t, b.program+"-restore")
			all := testdata(t, "kube-iptables"+b.family+".save")
			run(t, all, b.program+"-restore")
			before := look(t)
			seen := 0
			for line := range strings.Lines(all) {
				line = strings.TrimSpace(line)
				if !strings.HasPrefix(line, "-A ") || unseen.MatchString(line) {
					continue
				}
				run(t, without(all, line), b.program+"-restore")
				if maps.Equal(before, look(t)) {
					t.Errorf("nothing shows that this rule is gone: %s", line)
				}
				seen++
			}
			if seen < 130 {
				t.Errorf("only %d rules were taken away", seen)
			}
		})
	}
}

// TestRemovedNFTRule takes the rules of kube-proxy's chains for Services away, and those that
// lead there.
func TestRemovedNFTRule(t *testing.T) {
	rule := regexp.MustCompile(`^\t\t(.*(dnat|goto|vmap|jump services).*)$`)
	// What remembers clients leads nowhere, what refuses is no Service's rule, and of two
	// rules that lead to the same place for different sources one alone is not missed.
	unseen := regexp.MustCompile(`@affinity|@no-endpoint|@firewall|: goto|^\t\t(elements|comment)|@hairpin|short-circuit`)
	for _, family := range []string{"4", "6"} {
		t.Run("ip"+family, func(t *testing.T) {
			inNamespace(t, "nft")
			all := testdata(t, "kube-nftables"+family+".nft")
			before := loadNFT(t, all)
			seen := 0
			for line := range strings.Lines(all) {
				line = strings.TrimSuffix(line, "\n")
				if !rule.MatchString(line) || unseen.MatchString(line) && !strings.Contains(line, "numgen") {
					continue
				}
				if maps.Equal(before, loadNFT(t, without(all, line))) {
					t.Errorf("nothing shows that this rule is gone: %s", line)
				}
				seen++
			}
			if seen < 30 {
				t.Errorf("only %d rules were taken away", seen)
			}
		})
	}
}

// TestRemovedElement takes the elements of kube-proxy's maps away.
func TestRemovedElement(t *testing.T) {
	element := regexp.MustCompile(`(\S+ \. )?(tcp|udp|sctp) \. (\d+)( comment "[^"]*")? : (goto \S+[^, ]|drop)`)
	for _, family := range []string{"4", "6"} {
		t.Run("ip"+family, func(t *testing.T) {
			inNamespace(t, "nft")
			all := testdata(t, "kube-nftables"+family+".nft")
			table := map[string]string{"4": "ip", "6": "ip6"}[family]
			before := loadNFT(t, all)
			seen, set := 0, ""
			for line := range strings.Lines(all) {
				if words := append(strings.Fields(line), ""); words[0] == "map" {
					set = words[1]
				}
				found := element.FindStringSubmatch(line)
				if found == nil || set == "firewall-ips" {
					continue
				}
				loadNFT(t, all)
				run(t, "", "nft", "delete", "element", table, "kube-proxy", set, "{", found[1]+found[2]+" . "+found[3], "}")
				if maps.Equal(before, look(t)) {
					t.Errorf("nothing shows that this element of %s is gone: %s", set, line)
				}
				seen++
			}
			if seen < 30 {
				t.Errorf("only %d elements were taken away", seen)
			}
		})
	}
}

func loadNFT(t *testing.T, rules string) map[string]string {
	t.Helper()
	run(t, "flush ruleset\n"+rules, "nft", "-f", "-")
	files := look(t)
	if !strings.Contains(files[host.ServiceRules], "nftables") {
		t.Fatalf("got %v", files)
	}
	return files
}
