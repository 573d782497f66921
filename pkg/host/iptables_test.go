package host_test

import (
	"slices"
	"strings"
	"testing"
)

func TestIPTables(t *testing.T) {
	tables, err := view("/iptables-save", recorded(t, "flannel.iptables-save")).IPTables("/iptables-save")
	if err != nil {
		t.Error(err)
	}
	if got, want := tables.Called("KUBE-SERVICES"), []string{"filter/KUBE-SERVICES", "nat/KUBE-SERVICES"}; !slices.Equal(got, want) {
		t.Errorf("of KUBE-SERVICES called: %q, want %q", got, want)
	}
	if got, want := tables.Called("KUBE-NODEPORTS"), []string{"filter/KUBE-NODEPORTS"}; !slices.Equal(got, want) {
		t.Errorf("of KUBE-NODEPORTS called: %q, want %q: in nat only KUBE-SERVICES leads to it", got, want)
	}
	if got := tables.Called("KUBE-PROXY-CANARY"); len(got) > 0 {
		t.Errorf("the canary is called: %q", got)
	}
	if !tables.Has("mangle", "KUBE-IPTABLES-HINT") || tables.Has("filter", "KUBE-IPTABLES-HINT") {
		t.Error("the kubelet's hint is not found, or in the wrong table")
	}
	if got, want := tables.Rules("filter", "FLANNEL-FWD"), []string{
		`-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT`,
		`-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT`,
	}; !slices.Equal(got, want) {
		t.Errorf("rules %q, want %q", got, want)
	}
	if got := tables.Rules("nat", "FLANNEL-FWD"); got != nil {
		t.Errorf("rules of no chain: %q", got)
	}
	other := view("/nft-chains", "ip kube-proxy nat-prerouting nat prerouting -100 accept 1\n")
	if !other.NftTable("kube-proxy") || other.NftTable("nat-prerouting") || view("/x", "").NftTable("kube-proxy") {
		t.Error("the table kube-proxy is not found, or where there is none")
	}
}

// What was cut off is an error, with what stands before that.
func TestIPTablesCut(t *testing.T) {
	whole := recorded(t, "flannel.iptables-save")
	for _, text := range []string{strings.TrimSuffix(whole, "COMMIT\n"), whole[:len(whole)/2], whole[strings.Index(whole, "\n")+1:], "-A FORWARD -j DROP\n"} {
		tables, err := view("/ip6tables-save", text).IPTables("/ip6tables-save")
		if err == nil || !strings.HasPrefix(err.Error(), "/ip6tables-save is not what iptables-save prints: ") {
			t.Errorf("%.40q … %.40q: %v, %v", text, text[max(0, len(text)-40):], tables, err)
		}
	}
	if _, err := view("/iptables-save", "").IPTables("/iptables-save"); err != nil {
		t.Error("a node without tables: ", err)
	}
}
