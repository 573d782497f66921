package corefile

import (
	"net/netip"
	"testing"
)

func TestParseUpstream(t *testing.T) {
	addr := netip.MustParseAddr
	for _, want := range []Upstream{
		{"10.0.0.2", UpstreamAddress, "dns", addr("10.0.0.2"), "53", ""},
		{"10.0.0.2:5353", UpstreamAddress, "dns", addr("10.0.0.2"), "5353", ""},
		{"dns://10.0.0.2", UpstreamAddress, "dns", addr("10.0.0.2"), "53", ""},
		{"tls://9.9.9.9", UpstreamAddress, "tls", addr("9.9.9.9"), "853", ""},
		{"tls://9.9.9.9%dns.quad9.net", UpstreamAddress, "tls", addr("9.9.9.9"), "853", ""},
		{"tls://[2620:fe::fe%dns.quad9.net]:8853", UpstreamAddress, "tls", addr("2620:fe::fe"), "8853", ""},
		{"https://1.1.1.1", UpstreamAddress, "https", addr("1.1.1.1"), "443", ""},
		{"2001:db8::1", UpstreamAddress, "dns", addr("2001:db8::1"), "53", ""},
		{"[2001:db8::1]", UpstreamAddress, "dns", addr("2001:db8::1"), "53", ""},
		{"[2001:db8::1]:54", UpstreamAddress, "dns", addr("2001:db8::1"), "54", ""},
		{"fe80::1%eth0", UpstreamAddress, "dns", addr("fe80::1"), "53", ""},
		{"/etc/resolv.conf", UpstreamFile, "dns", netip.Addr{}, "", "/etc/resolv.conf"},
		{"dns:///etc/resolv.conf", UpstreamFile, "dns", netip.Addr{}, "", "/etc/resolv.conf"},
		{"[/etc/resolv.conf]", UpstreamFile, "dns", netip.Addr{}, "", "/etc/resolv.conf"},
		{"/etc/resolv.conf:53", UpstreamFile, "dns", netip.Addr{}, "", "/etc/resolv.conf:53"},
		{"resolv.conf", UpstreamName, "dns", netip.Addr{}, "", ""},
		{"dns.example:53", UpstreamName, "dns", netip.Addr{}, "", ""},
		{"<nil>", UpstreamName, "dns", netip.Addr{}, "", ""},
		{"", UpstreamName, "dns", netip.Addr{}, "", ""},
		{"unix:///run/dns.sock", UpstreamName, "unix", netip.Addr{}, "", ""},
		{"{$UPSTREAM}", UpstreamPlaceholder, "dns", netip.Addr{}, "", ""},
		{"tls://{%UPSTREAM%}:853", UpstreamPlaceholder, "tls", netip.Addr{}, "", ""},
		{"__PILLAR__UPSTREAM__SERVERS__", UpstreamPlaceholder, "dns", netip.Addr{}, "", ""},
	} {
		if got := ParseUpstream(want.Text); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1":              true,
		"127.0.0.53:53":          true,
		"dns://127.255.255.254":  true,
		"::1":                    true,
		"[::1]:5353":             true,
		"::1%lo":                 true,
		"tls://[::1%name]:853":   true,
		"::ffff:127.0.0.1":       true,
		"[::ffff:127.0.0.11]:53": true,
		"0.0.0.0":                true,
		"::":                     true,
		"128.0.0.1":              false,
		"169.254.20.10":          false,
		"::2":                    false,
		"fe80::1%lo":             false,
		"localhost":              false,
		"/etc/resolv.conf":       false,
		"":                       false,
	} {
		if got := Loopback(address); got != want {
			t.Errorf("%q: got %t", address, got)
		}
	}
}

func TestForward(t *testing.T) {
	for _, tt := range []struct {
		text, from string
		to         int
		ok         bool
	}{
		{"forward . /etc/resolv.conf 8.8.8.8", ".", 2, true},
		{"forward Corp.Example:53 10.0.0.2", "corp.example.", 1, true},
		{"forward 10.0.0.0/15 10.0.0.2", "0.10.in-addr.arpa.", 1, true},
		{"forward .: 10.0.0.2", "", 1, true},
		{"proxy . 10.0.0.2", ".", 1, true},
		{"forward .", "", 0, false},
		{"forward", "", 0, false},
		{"grpc . 10.0.0.2", "", 0, false},
	} {
		f, ok := parse(t, ". {\n"+tt.text+"\n}").Blocks[0].Directives[0].Forward()
		if f.From != tt.from || len(f.To) != tt.to || ok != tt.ok {
			t.Errorf("%s: got %+v, %t", tt.text, f, ok)
		}
	}
}

func TestHears(t *testing.T) {
	for _, tt := range []struct {
		name, block, upstream string
		want                  bool
	}{
		{"default port", ".", "127.0.0.1", true},
		{"any loopback address", ".:53 {\n}", "127.0.0.53:53", true},
		{"IPv6", "corp:5353 {\n}", "[::1]:5353", true},
		{"other port", ".:53 {\n}", "127.0.0.1:5353", false},
		{"one of two ports", ".:53 a:5353 {\n}", "127.0.0.1:5353", true},
		{"other transport", ".:53 {\n}", "tls://127.0.0.1:53", false},
		{"same transport", "tls://. {\n}", "tls://127.0.0.1", true},
		{"not loopback", ".:53 {\n}", "10.96.0.10", false},
		{"bound elsewhere", ". {\nbind 169.254.20.10\n}", "127.0.0.1", false},
		{"bound to an interface", ". {\nbind eth0\n}", "127.0.0.1", false},
		{"bound to loopback", ". {\nbind eth0\nbind 10.0.0.1 lo\n}", "127.0.0.1", true},
		{"bound to the address", ". {\nbind ::1\n}", "[::1]:53", true},
		{"bound to all", ". {\nbind 0.0.0.0\n}", "127.0.0.1", true},
		{"key refused", ".: {\n}", "127.0.0.1", false},
	} {
		if got := parse(t, tt.block).Blocks[0].Hears(ParseUpstream(tt.upstream)); got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
}
