package host_test

import (
	"slices"
	"testing"
)

func TestIPTables(t *testing.T) {
	tables := view("/iptables-save", recorded(t, "flannel.iptables-save")).IPTables("/iptables-save")
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
