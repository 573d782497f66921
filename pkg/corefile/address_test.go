package corefile

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, tt := range []struct{ key, want string }{
		{".", "dns . 53"},
		{".:53", "dns . 53"},
		{"Cluster.Local:1053", "dns cluster.local. 1053"},
		{"example.org.:053", "dns example.org. 53"},
		{"dns://example.org", "dns example.org. 53"},
		{"123", "dns 123. 53"},
		{"tls://.", "tls . 853"},
		{"tls://example.org:1853", "tls example.org. 1853"},
		{"quic://.", "quic . 853"},
		{"grpc://.", "grpc . 443"},
		{"https://.", "https . 443"},
		{"https3://.", "https3 . 443"},
		{"ftp://a", "dns ftp://a. 53"},
		{"10.0.0.0/8:53", "dns 10.in-addr.arpa. 53"},
		{"10.96.1.7/16", "dns 96.10.in-addr.arpa. 53"},
		{"192.168.1.0/24:5353", "dns 1.168.192.in-addr.arpa. 5353"},
		{"0.0.0.0/0", "dns in-addr.arpa. 53"},
		{"10.0.0.0/15", "dns 0.10.in-addr.arpa. 53, dns 1.10.in-addr.arpa. 53"},
		{"2001:db8::/32", "dns 8.b.d.0.1.0.0.2.ip6.arpa. 53"},
		{"2001:db8::/31:53", "dns 8.b.d.0.1.0.0.2.ip6.arpa. 53, dns 9.b.d.0.1.0.0.2.ip6.arpa. 53"},
		{"2001:db8::/115", "dns 0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 53, " +
			"dns 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 53"},
		{".:", `expecting data after last colon: ".:"`},
		{":53", "zone is not a valid domain name: "},
		{"::fFFF:B:F/115", "invalid CIDR ::fFFF:B:F/115"},
		{strings.Repeat("a", 256), "specified zone is too long: 256 > 255"},
	} {
		addresses, err := ParseAddress(tt.key)
		var all []string
		for _, a := range addresses {
			all = append(all, a.Transport+" "+a.Zone+" "+a.Port)
		}
		got := strings.Join(all, ", ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.key, got, tt.want)
		}
	}
}

func TestZones(t *testing.T) {
	b := parse(t, "A.example:53 tls://a.example, 10.0.0.0/8 :53 {\nkubernetes\n}").Blocks[0]
	if got, want := b.Zones(), []string{"a.example.", "10.in-addr.arpa."}; !reflect.DeepEqual(got, want) {
		t.Errorf("Zones: got %q, want %q", got, want)
	}
	if got, want := b.Origins([]string{"Cluster.Local", "in-addr.arpa"}), []string{"cluster.local.", "in-addr.arpa."}; !reflect.DeepEqual(got, want) {
		t.Errorf("Origins: got %q, want %q", got, want)
	}
	if got := b.Origins(nil); !reflect.DeepEqual(got, b.Zones()) {
		t.Errorf("Origins without arguments: got %q, want %q", got, b.Zones())
	}
}

func TestBlockFor(t *testing.T) {
	f := parse(t, ". {\n}\ncorp.example {\n}\nlab.corp.example tls://x.corp.example {\n}\n.:5353 {\n}")
	for _, tt := range []struct {
		name, port string
		line       int
	}{
		{".", "53", 1},
		{"example.org", "53", 1},
		{"Corp.Example.", "53", 3},
		{"notcorp.example", "53", 1},
		{"a.lab.corp.example", "53", 5},
		{"x.corp.example", "53", 3},
		{"a.lab.corp.example", "5353", 7},
		{"example.org", "54", 0},
	} {
		line := 0
		if b := f.BlockFor(tt.name, tt.port); b != nil {
			line = b.Line
		}
		if line != tt.line {
			t.Errorf("%s at %s: got block of line %d, want %d", tt.name, tt.port, line, tt.line)
		}
	}
}
