package host_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// view is one node with files, given as path and text in turn.
func view(files ...string) host.View {
	b := facts.NewBuilder(time.Time{}, "", facts.Host)
	for i := 0; i < len(files); i += 2 {
		b.AddFile("n1", files[i], files[i+1])
	}
	return host.Of(b.Build(), "n1")
}

// out is a new connection from a pod of this node to one of another.
func out() host.Packet {
	return host.Packet{
		From: netip.MustParsePrefix("10.244.1.0/24"), To: netip.MustParsePrefix("10.244.0.0/24"),
		In: []string{"cni0"}, Out: []string{"flannel.1"}, Proto: "tcp",
	}
}

func reply(p host.Packet) host.Packet      { p.Reply = true; return p }
func translated(p host.Packet) host.Packet { p.Translated = true; return p }
func udp(p host.Packet) host.Packet        { p.Proto = "udp"; return p }
func lost(p host.Packet) host.Packet       { p.In, p.Out = nil, nil; return p }

// filter is what iptables-save prints of a table with these rules in FORWARD and others.
func filter(policy string, rules ...string) string {
	text := "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD " + policy + " [0:0]\n:OUTPUT ACCEPT [0:0]\n"
	seen := map[string]bool{"FORWARD": true}
	for _, r := range rules {
		if name := strings.Fields(r)[0]; !seen[name] {
			seen[name] = true
			text += ":" + name + " - [0:0]\n"
		}
	}
	for _, r := range rules {
		text += "-A " + r + "\n"
	}
	return text + "COMMIT\n"
}

func TestForward(t *testing.T) {
	tests := []struct {
		name   string
		packet host.Packet
		rules  string
		want   string
	}{
		{"nothing", out(), "", "accepted"},
		{"policy accept", out(), filter("ACCEPT"), "accepted"},
		{"policy drop", out(), filter("DROP"), "dropped: filter FORWARD: policy drop"},
		{"accepted by range", out(), filter("DROP", "FORWARD -s 10.244.0.0/16 -j ACCEPT"), "accepted"},
		{"another range", out(), filter("DROP", "FORWARD -s 10.42.0.0/16 -j ACCEPT"), "dropped: filter FORWARD: policy drop"},
		{"a part of the range", out(), filter("DROP", "FORWARD -s 10.244.1.7/32 -j ACCEPT"), "undecided: -A FORWARD -s 10.244.1.7/32 -j ACCEPT"},
		{"a part is dropped", out(), filter("ACCEPT", "FORWARD -s 10.244.1.7/32 -j DROP"), "accepted"},
		{"one port is dropped", out(), filter("ACCEPT", "FORWARD -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset"), "accepted"},
		{"one port is accepted", out(), filter("DROP", "FORWARD -p tcp -m tcp --dport 443 -j ACCEPT"), "undecided: -A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT"},
		{"refused", out(), filter("ACCEPT", `FORWARD -s 10.244.0.0/16 -m comment --comment "no -j ACCEPT here" -j REJECT --reject-with icmp-port-unreachable`),
			`dropped: -A FORWARD -s 10.244.0.0/16 -m comment --comment "no -j ACCEPT here" -j REJECT --reject-with icmp-port-unreachable`},
		{"not from the range", out(), filter("ACCEPT", "FORWARD ! -s 10.244.0.0/16 -j DROP"), "accepted"},
		{"not to the range", out(), filter("ACCEPT", "FORWARD ! -d 192.168.0.0/16 -j DROP"), "dropped: -A FORWARD ! -d 192.168.0.0/16 -j DROP"},
		{"only replies", out(), filter("DROP", "FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"), "dropped: filter FORWARD: policy drop"},
		{"a reply", reply(out()), filter("DROP", "FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT"), "accepted"},
		{"invalid", out(), filter("ACCEPT", "FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name  lost -j DROP"), "accepted"},
		{"Docker", out(), filter("DROP", "FORWARD -j DOCKER-USER", "FORWARD -j DOCKER-FORWARD", "DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1", "DOCKER-FORWARD -i docker0 -j ACCEPT",
			"DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2", "DOCKER-ISOLATION-STAGE-1 -j RETURN", "DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP", "DOCKER-USER -j RETURN"),
			"dropped: filter FORWARD: policy drop"},
		{"Docker, interfaces unknown", lost(out()), filter("DROP", "FORWARD -i docker0 -j ACCEPT"), "undecided: -A FORWARD -i docker0 -j ACCEPT"},
		{"any of a kind", out(), filter("DROP", "FORWARD -i cni+ -o flannel+ -j ACCEPT"), "accepted"},
		{"a set before", out(), filter("ACCEPT", "FORWARD -m set --match-set bad src -j DROP"), "undecided: -A FORWARD -m set --match-set bad src -j DROP"},
		{"a set before a range", out(), filter("ACCEPT", "FORWARD -m set ! --match-set bad src -p tcp -m tcp --dport 25 -j DROP"), "accepted"},
		{"a set after", out(), filter("ACCEPT", "FORWARD -j ACCEPT", "FORWARD -m set --match-set bad src -j DROP"), "accepted"},
		{"a queue", out(), filter("ACCEPT", "FORWARD -j NFQUEUE --queue-num 100"), "undecided: -A FORWARD -j NFQUEUE --queue-num 100"},
		{"an unknown target", out(), filter("ACCEPT", "FORWARD -j STEAL"), "undecided: filter/STEAL"},
		{"a log", out(), filter("ACCEPT", `FORWARD -m limit --limit 3/min -j LOG --log-prefix "[UFW BLOCK] "`), "accepted"},
		{"only TCP", out(), filter("DROP", "FORWARD -p tcp -j ACCEPT"), "accepted"},
		{"only TCP, and UDP comes", udp(out()), filter("DROP", "FORWARD -p tcp -j ACCEPT"), "dropped: filter FORWARD: policy drop"},
		{"ICMP", out(), filter("DROP", "FORWARD -p icmp -m icmp --icmp-type 8 -j ACCEPT"), "dropped: filter FORWARD: policy drop"},
		{"only to Services", translated(out()), filter("DROP", "FORWARD -m conntrack --ctstate DNAT -j ACCEPT"), "accepted"},
		{"only to Services, and not to one", out(), filter("DROP", "FORWARD -m conntrack --ctstate DNAT -j ACCEPT"), "dropped: filter FORWARD: policy drop"},
		{"only what kube-proxy marked", out(), filter("DROP", "FORWARD -j KUBE-FORWARD", "KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT"), "dropped: filter FORWARD: policy drop"},
		{"another's mark", out(), filter("DROP", "FORWARD -m mark --mark 0x20000/0x20000 -j ACCEPT"), "undecided: -A FORWARD -m mark --mark 0x20000/0x20000 -j ACCEPT"},
		{"Calico", out(), filter("DROP", "FORWARD -j cali-FORWARD", "cali-FORWARD -j DROP"), "accepted"},
		{"before Calico", out(), filter("DROP", "FORWARD -i cni0 -j DROP", "FORWARD -j cali-FORWARD"), "dropped: -A FORWARD -i cni0 -j DROP"},
		{"back and on", out(), filter("DROP", "FORWARD -j A", "FORWARD -j ACCEPT", "A -j B", "B -o eth0 -j DROP"), "accepted"},
		{"gone for good", out(), filter("DROP", "FORWARD -g A", "FORWARD -j ACCEPT", "A -o eth0 -j ACCEPT"), "dropped: filter FORWARD: policy drop"},
		{"a way out", out(), filter("DROP", "FORWARD -j A", "A -m set --match-set ours src -j RETURN", "A -j DROP"), "dropped: filter FORWARD: policy drop"},
		{"a way out to what accepts", out(), filter("ACCEPT", "FORWARD -j A", "A -m set --match-set ours src -j RETURN", "A -j DROP"), "undecided: -A A -m set --match-set ours src -j RETURN"},
		{"back from the kernel's own chain", out(), filter("ACCEPT", "FORWARD -m set --match-set ours src -j RETURN", "FORWARD -j DROP"), "undecided: -A FORWARD -m set --match-set ours src -j RETURN"},
		{"a circle", out(), filter("ACCEPT", "FORWARD -j A", "A -j B", "A -j B", "B -j A", "B -j A"), "undecided: filter/A"},
		{"local", out(), filter("ACCEPT", "FORWARD -m addrtype --dst-type LOCAL -j DROP"), "accepted"},
		{"counted", out(), "*filter\n:FORWARD ACCEPT [0:0]\n[12:720] -A FORWARD -d 10.244.0.0/16 -j DROP\nCOMMIT\n", "dropped: -A FORWARD -d 10.244.0.0/16 -j DROP"},
		{"nonsense", out(), "*filter\n-A FORWARD\n-A FORWARD -j\n-A FORWARD -s\n-A FORWARD ! ! -m\n[ ] -A X -s \"\nCOMMIT\n", "accepted"},
		{"comments and counters", out(), "# Generated by iptables-save v1.8.10\n*filter\n:FORWARD ACCEPT [1:2]\n\n[5:6] -A FORWARD -j DROP\nCOMMIT\n# Completed\n", "dropped: -A FORWARD -j DROP"},
		{"cut off before COMMIT", out(), strings.TrimSuffix(filter("DROP", "FORWARD -s 10.42.0.0/16 -j ACCEPT"), "COMMIT\n"), `undecided: cut off: table "filter" has no COMMIT`},
		{"cut off in a rule", out(), "*filter\n:FORWARD ACCEPT [0:0]\n-A FORW", `undecided: cut off: table "filter" has no COMMIT`},
		{"cut off after a table that drops", out(), "*mangle\n:FORWARD ACCEPT [0:0]\n-A FORWARD -d 10.244.0.0/16 -j DROP\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\n", "dropped: -A FORWARD -d 10.244.0.0/16 -j DROP"},
		{"cut off after a table that accepts", out(), "*mangle\n:FORWARD ACCEPT [0:0]\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n", `undecided: cut off: table "filter" has no COMMIT`},
		{"nonsense after a table that drops", out(), filter("DROP") + "Killed\n", "dropped: filter FORWARD: policy drop"},
		{"a table once more, and cut off", out(), filter("DROP") + "*filter\n:FORWARD DROP [0:0]\n", `undecided: cut off: table "filter" has no COMMIT`},
		{"cut off between tables", out(), "*mangle\n*filter\nCOMMIT\n", `undecided: "*filter" is no rule`},
		{"the head is lost", out(), ":FORWARD DROP [0:0]\n-A FORWARD -j ACCEPT\nCOMMIT\n", `undecided: ":FORWARD DROP [0:0]" stands in no table`},
		{"iptables -S", out(), "-P FORWARD DROP\n-A FORWARD -j ACCEPT\n", `undecided: "-P FORWARD DROP" stands in no table`},
		{"what a shell said", out(), "sh: iptables-save: not found\n", `undecided: "sh: iptables-save: not found" stands in no table`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := told(view("/iptables-save", tt.rules).Firewall(false).Forward(tt.packet)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func told(r host.Ruling) string {
	word := map[host.Verdict]string{host.Accepted: "accepted", host.Dropped: "dropped", host.Undecided: "undecided"}[r.Verdict]
	if r.Text != "" {
		word += ": " + r.Text
	}
	return word
}

// What the lab's nodes were seen to do: with the policy of iptables' chain at DROP pods
// still reached each other, since Flannel accepts them; with a table of its own that drops,
// they did not; and with firewalld's chains (its words, cut) only through a Service.
func TestForwardSeen(t *testing.T) {
	flannel, err := os.ReadFile("testdata/flannel.iptables-save")
	if err != nil {
		t.Fatal(err)
	}
	const hardening = "ip filter FORWARD filter forward 0 drop 5\nip hardening forward filter forward 10 drop 0\nip6 hardening forward filter forward 10 drop 0\n"
	const firewalld = "inet firewalld filter_FORWARD filter forward 10 accept 6\n"
	const rules = `-A inet/firewalld/filter_FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j accept
-A inet/firewalld/filter_FORWARD -m conntrack --ctstate DNAT -j accept
-A inet/firewalld/filter_FORWARD -i lo -j accept
-A inet/firewalld/filter_FORWARD -m conntrack --ctstate INVALID -j drop
-A inet/firewalld/filter_FORWARD -j inet/firewalld/filter_FORWARD_POLICIES
-A inet/firewalld/filter_FORWARD -j reject
-A inet/firewalld/filter_FORWARD_POLICIES -i eth0 -o eth0 -j jump filter_FWD_public
-A inet/firewalld/filter_FORWARD_POLICIES -i eth0 -o eth0 -j reject
-A inet/firewalld/filter_FORWARD_POLICIES -j jump filter_FWD_public
-A inet/firewalld/filter_FORWARD_POLICIES -j reject
-A inet/firewalld/filter_FWD_public -j jump filter_FWD_public_pre
-A inet/firewalld/filter_FWD_public -j jump filter_FWD_public_allow
-A inet/firewalld/filter_FWD_public_allow -o eth0 -j accept
`
	outside := out()
	outside.To, outside.Out = netip.MustParsePrefix("192.0.2.7/32"), []string{"eth0"}
	iptables := []string{"/iptables-save", string(flannel)}
	tests := []struct {
		name   string
		files  []string
		packet host.Packet
		want   string
	}{
		{"Flannel", iptables, out(), "accepted"},
		{"Flannel, to a Service", iptables, translated(out()), "accepted"},
		{"a table that drops", append(iptables, "/nft-chains", hardening), out(), "dropped: ip hardening forward: policy drop"},
		{"firewalld", append(iptables, "/nft-chains", firewalld, "/nft-rules", rules), out(), "dropped: -A inet/firewalld/filter_FORWARD_POLICIES -j reject"},
		{"firewalld, back", append(iptables, "/nft-chains", firewalld, "/nft-rules", rules), reply(out()), "accepted"},
		{"firewalld, to a Service", append(iptables, "/nft-chains", firewalld, "/nft-rules", rules), translated(out()), "accepted"},
		{"firewalld, to the outside", append(iptables, "/nft-chains", firewalld, "/nft-rules", rules), outside, "accepted"},
		{"firewalld, rules unread", append(iptables, "/nft-chains", firewalld), out(), "undecided: inet firewalld filter_FORWARD: not read"},
		{"firewalld, half of it", append(iptables, "/nft-chains", firewalld, "/nft-rules", "-A inet/firewalld/filter_FORWARD -j drop\n"), out(),
			"undecided: inet firewalld filter_FORWARD: not all of its rules stand in /nft-rules"},
		{"Calico's own table", append(iptables, "/nft-chains", "ip calico filter-FORWARD filter forward 0 drop 7\n"), out(), "accepted"},
		{"iptables' own chain, named by both", append(iptables, "/nft-chains", "ip filter FORWARD filter forward 0 drop 5\n"), out(), "accepted"},
		{"iptables' own chain without rules, cut off there", []string{"/iptables-save", "*filter\n:FORWARD DROP [0:0]\n", "/nft-chains", "ip filter FORWARD filter forward 0 drop 0\n"}, out(), "dropped: ip filter FORWARD: policy drop"},
		{"not its family", append(iptables, "/nft-chains", "bridge x f filter forward 0 drop 0\nip6 x f filter forward 0 drop 0\nip x f filter input 0 drop 0"), out(), "accepted"},
		{"not a chain", append(iptables, "/nft-chains", "ip x f forward drop\n"), out(), "undecided: ip x f forward drop: a line is none"},
		{"names with blanks, and chains with their tables", append(iptables, "/nft-chains", `inet "my wall" "the way" filter forward 0 accept 2`+"\n",
			"/nft-rules", `-A "inet/my wall/the way" -6 -j drop`+"\n"+`-A "inet/my wall/the way" -4 -f -j drop`+"\n"+`-A "inet/my wall/the way" -4 -g "inet/my wall/x"`+"\n"+`-A "inet/my wall/x" -j DROP`), out(),
			`dropped: -A "inet/my wall/x" -j DROP`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := told(view(tt.files...).Firewall(false).Forward(tt.packet)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Chains may fork as often as they like, and in circles: each is gone through once.
func TestForwardForks(t *testing.T) {
	var forks, circles []string
	for range 200 {
		for i := range 14 {
			from := fmt.Sprintf("C%d", i)
			if i == 0 {
				from = "FORWARD"
			}
			forks = append(forks, fmt.Sprintf("%s -j C%d", from, i+1))
		}
		circles = append(circles, "FORWARD -j R", "R -j S", "R -j R", "S -j R")
	}
	forks = append(forks, "C14 -s 10.9.0.0/16 -j DROP")
	circles = append(circles, "FORWARD -j DROP")
	for _, tt := range []struct {
		rules []string
		want  string
	}{{forks, "dropped: filter FORWARD: policy drop"}, {circles, "undecided: filter/R"}} {
		if got := told(view("/iptables-save", filter("DROP", tt.rules...)).Firewall(false).Forward(out())); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
