package fixes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixtest"
)

// offer plans the repair of the loop of a fixture.
func offer(t *testing.T, s *facts.Snapshot, params fixes.Params) (fixes.Plan, error) {
	t.Helper()
	findings := checks.Run(s, fixes.CorefileForward.For)[1].Findings
	if len(findings) != 1 {
		t.Fatalf("got %d loops, want 1", len(findings))
	}
	return fixes.Offer(s, fixes.CorefileForward, findings[0], params)
}

func TestUpstreams(t *testing.T) {
	tests := []struct {
		name, flags string
		want        string // what forward is told, or what the error says
		refused     bool
	}{
		{name: "v4", flags: "10.0.0.2", want: "10.0.0.2"},
		{name: "v6", flags: "2001:db8::53", want: "2001:db8::53"},
		{name: "v6 in brackets", flags: "[2001:db8::53]", want: "2001:db8::53"},
		{name: "v6 with port", flags: "[2001:db8::53]:5353", want: "[2001:db8::53]:5353"},
		{name: "v4 inside v6", flags: "::ffff:10.0.0.2", want: "10.0.0.2"},
		{name: "v4 inside v6 with port", flags: "[::ffff:10.0.0.2]:5353", want: "10.0.0.2:5353"},
		{name: "usual port", flags: "10.0.0.2:53", want: "10.0.0.2"},
		{name: "highest port", flags: "10.0.0.2:65535", want: "10.0.0.2:65535"},
		{name: "order kept, twice the same once", flags: "10.0.0.3,10.0.0.2,10.0.0.3:53", want: "10.0.0.3 10.0.0.2"},
		{name: "link-local of a cloud", flags: "169.254.169.253", want: "169.254.169.253"},
		{name: "same address as the DNS Service but for one digit", flags: "10.96.0.11", want: "10.96.0.11"},

		{name: "name", flags: "dns.example.org", want: "--upstream dns.example.org: not an IP address", refused: true},
		{name: "empty", flags: "", want: "not an IP address", refused: true},
		{name: "blank", flags: " 10.0.0.2", want: "not an IP address", refused: true},
		{name: "network", flags: "10.0.0.0/24", want: "not an IP address", refused: true},
		{name: "port 0", flags: "10.0.0.2:0", want: "not an IP address", refused: true},
		{name: "port too high", flags: "10.0.0.2:65536", want: "not an IP address", refused: true},
		{name: "scheme", flags: "tls://10.0.0.2", want: "not an IP address", refused: true},
		{name: "text of a Corefile", flags: "10.0.0.2 {\n}", want: "not an IP address", refused: true},
		{name: "one of two bad", flags: "10.0.0.2,x", want: "--upstream x:", refused: true},
		{name: "stub of systemd-resolved", flags: "127.0.0.53", want: "loopback address is CoreDNS itself", refused: true},
		{name: "loopback v6", flags: "::1", want: "loopback address is CoreDNS itself", refused: true},
		{name: "loopback v4 inside v6", flags: "[::ffff:127.0.0.1]:5353", want: "loopback address is CoreDNS itself", refused: true},
		{name: "unspecified", flags: "0.0.0.0", want: "pods can reach", refused: true},
		{name: "unspecified v6", flags: "::", want: "pods can reach", refused: true},
		{name: "multicast", flags: "224.0.0.251", want: "pods can reach", refused: true},
		{name: "zone", flags: "fe80::1%eth0", want: "pods can reach", refused: true},
		{name: "link-local v6", flags: "fe80::1", want: "pods can reach", refused: true},
		{name: "DNS Service", flags: "10.96.0.10", want: "own DNS Service", refused: true},
		{name: "DNS Service with port", flags: "10.96.0.10:53", want: "own DNS Service", refused: true},
		{name: "DNS Service v4 inside v6", flags: "::ffff:10.96.0.10", want: "own DNS Service", refused: true},
		{name: "DNS Service v6, written otherwise", flags: "fd00:10:96:0::000a", want: "own DNS Service", refused: true},
		{name: "pod of CoreDNS", flags: "10.244.2.8", want: "pod of CoreDNS itself", refused: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fixtest.Load(t, "testdata/upstream-flags.txtar")
			plan, err := offer(t, s, fixes.Params{Upstreams: strings.Split(tt.flags, ",")})
			if tt.refused {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got error %v, want one with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := forwards(t, plan), "forward . "+tt.want+" {"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// forwards returns the line with forward in the Corefile of a plan.
func forwards(t *testing.T, plan fixes.Plan) string {
	t.Helper()
	data, _ := plan.Changes[0].After.Object["data"].(map[string]any)
	text, _ := data["Corefile"].(string)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "forward") {
			return line
		}
	}
	t.Fatalf("no forward in %q", text)
	return ""
}

func TestOfferRefusesOtherFindings(t *testing.T) {
	s := fixtest.Load(t, "testdata/upstream-flags.txtar")
	finding := checks.Run(s, fixes.CorefileForward.For)[1].Findings[0]
	_, err := fixes.Offer(s, fixes.AllowPrivilegeEscalation, finding, fixes.Params{AcceptRisk: true})
	if got, want := errText(err), "allow-privilege-escalation does not cure coredns-loop"; got != want {
		t.Errorf("got error %q, want %q", got, want)
	}
}

func TestForNamesFixes(t *testing.T) {
	for _, fix := range fixes.All() {
		for _, c := range fix.For {
			if !slices.Contains(fixes.For(c), fix) {
				t.Errorf("For(%s): %s is not among the fixes", c.ID, fix.ID)
			}
		}
	}
	if got := fixes.For(&checks.Check{ID: "another"}); len(got) != 0 {
		t.Errorf("got %d fixes of an unknown check, want none", len(got))
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
