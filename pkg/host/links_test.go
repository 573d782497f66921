package host_test

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// recorded returns what was seen on a node of the lab.
func recorded(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLinks(t *testing.T) {
	links, err := view(host.AddrFile, recorded(t, "ip-addr.json")).Links()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	if got, want := strings.Join(names, " "), "lo eth0 flannel.1 cni0 vethcbcc9600"; got != want {
		t.Errorf("interfaces %s, want %s", got, want)
	}
	flannel, bridge, port := host.LinkNamed(links, "flannel.1"), host.LinkNamed(links, "cni0"), host.LinkNamed(links, "vethcbcc9600")
	if flannel.Kind != "vxlan" || flannel.MTU != 1450 || flannel.Under != "eth0" || flannel.Local.String() != "10.77.0.11" || flannel.External {
		t.Errorf("flannel.1 is %+v", flannel)
	}
	if !bridge.Up || bridge.Kind != "bridge" || bridge.Filters || bridge.Addrs[0] != netip.MustParsePrefix("10.244.0.1/24") {
		t.Errorf("cni0 is %+v", bridge)
	}
	if port.Master != "cni0" || port.Kind != "veth" {
		t.Errorf("the pod's interface is %+v", port)
	}
	if l := host.LinkNamed(links, "cni1"); l != nil {
		t.Errorf("cni1 is %+v", l)
	}
}

func TestRoutes(t *testing.T) {
	text := strings.TrimSuffix(recorded(t, "ip-route.json"), "]\n") + `,
		{"dst":"10.244.1.9","dev":"cali1","scope":"link"},
		{"type":"blackhole","dst":"10.244.9.0/24","dev":"*"},
		{"dst":"10.244.7.0/24","table":"220","dev":"wg0"},
		{"dst":"10.99.0.0/16","nexthops":[{"gateway":"10.77.0.1","dev":"eth1"},{"gateway":"10.77.0.2","dev":"eth2"}]},
		{"dst":"10.98.0.0/16","dev":"slow","metric":20},{"dst":"10.98.0.0/16","dev":"fast"},
		{"dst":"default","gateway":"fe80::1","dev":"eth6","metric":1024,"pref":"medium"},
		{"dst":"nonsense","dev":"eth0"}]`
	routes, err := view(host.RouteFile, text).Routes()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ to, want string }{
		{"10.244.0.0/24", "flannel.1"},
		{"10.244.0.7/32", "flannel.1"},
		{"10.244.1.0/24", "cali1 cni0"},
		{"10.244.1.9/32", "cali1"},
		{"10.244.7.0/24", "eth0"},
		{"10.244.9.0/24", "eth0"},
		{"10.244.0.0/16", "cali1 cni0 eth0 flannel.1"},
		{"10.99.1.0/24", "eth1 eth2"},
		{"10.98.1.0/24", "fast"},
		{"192.0.2.0/24", "eth0"},
		{"fd00::/64", "eth6"},
	} {
		if got := strings.Join(host.DevsTo(routes, netip.MustParsePrefix(tt.to)), " "); got != tt.want {
			t.Errorf("to %s by %q, want %q", tt.to, got, tt.want)
		}
	}
}

// What is no JSON is not taken for a node without interfaces or routes.
func TestNoJSON(t *testing.T) {
	for _, text := range []string{"", "{}", "[1]", `[{"ifname":7,"dst":7}]`, `[{"ifname":"eth0"`} {
		v := view(host.AddrFile, text, host.RouteFile, text)
		if links, err := v.Links(); err == nil {
			t.Errorf("%q: interfaces %v", text, links)
		}
		if routes, err := v.Routes(); err == nil {
			t.Errorf("%q: routes %v", text, routes)
		}
	}
	for _, text := range []string{"null", "[]", " [ ]\n"} {
		if links, err := view(host.AddrFile, text).Links(); err == nil {
			t.Errorf("%q: interfaces %v", text, links)
		}
	}
	odd := `[null,{},{"ifname":"x","mtu":-1,"addr_info":[{"local":"nonsense","prefixlen":99},{"local":"10.0.0.1","prefixlen":99}],"dst":"","dev":"x"}]`
	v := view(host.AddrFile, odd, host.RouteFile, odd)
	links, err := v.Links()
	if err != nil || slices.ContainsFunc(links, func(l host.Link) bool { return len(l.Addrs) > 0 }) {
		t.Errorf("%+v, %v", links, err)
	}
	if routes, err := v.Routes(); err != nil || len(routes) > 0 {
		t.Errorf("%+v, %v", routes, err)
	}
	unread := view("/asked", "")
	links, err = unread.Links()
	routes, err2 := unread.Routes()
	if links != nil || routes != nil || err != nil || err2 != nil {
		t.Error("there is something in files that were not read")
	}
}
