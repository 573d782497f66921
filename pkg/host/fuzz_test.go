package host_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// FuzzForward gives any text as rules and chains: packets get a verdict, the same each time, and
// a further filter never lets pass what another drops.
func FuzzForward(f *testing.F) {
	f.Add(filter("DROP", "FORWARD -j A", "FORWARD -g B", "A -j B", "B -j A", "A -s 10.244.0.0/16 -j RETURN"), "ip x f filter forward 0 drop 0", "")
	f.Add("*filter\n:FORWARD ACCEPT [0:0]\n[1:1] -A FORWARD ! -s 10.0.0.0/8 -m set --match-set a src -j ACCEPT", "inet a b filter forward 0 accept 1", `-A "inet/a/b" -j inet/a/b`)
	f.Add("*\n:\n-A\n-A / -j /\n-A FORWARD ! ! -m -m -j", "ip6 a \"b c\" filter forward 0 drop x", "-A a -g")
	f.Fuzz(func(t *testing.T, rules, chains, native string) {
		alone := view("/iptables-save", rules).Firewall(false).Forward(out())
		both := view("/iptables-save", rules, "/nft-chains", chains, "/nft-rules", native)
		for _, p := range []host.Packet{out(), reply(out()), translated(out()), udp(out()), lost(out())} {
			r := both.Firewall(false).Forward(p)
			if r.Verdict < host.Accepted || r.Verdict > host.Undecided || r.Verdict == host.Accepted && r.Text != "" {
				t.Errorf("%+v", r)
			}
			if again := both.Firewall(false).Forward(p); again != r {
				t.Errorf("%+v, and then %+v", r, again)
			}
		}
		if r := both.Firewall(false).Forward(out()); alone.Verdict == host.Dropped && r.Verdict != host.Dropped {
			t.Errorf("a further chain lets pass what %q drops", alone.Text)
		}
	})
}
