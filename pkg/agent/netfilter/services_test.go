package netfilter

import (
	"net/netip"
	"strings"
	"testing"
)

// rule makes a rule of a few words: -d, --dport, -s, -j, and "recent" for one that looks for
// clients that were here before.
func rule(text string) *Rule {
	r := &Rule{Proto: Option{Value: "tcp"}}
	words := strings.Fields(text)
	for i := 0; i+1 < len(words); i++ {
		switch value := words[i+1]; words[i] {
		case "-d":
			r.Dst.Value = value
		case "-s":
			r.Src.Value, r.inside = value, true
		case "--dport":
			port := netip.MustParseAddrPort("0.0.0.0:" + value)
			r.DPort = port.Port()
		case "--to":
			r.DNAT = netip.MustParseAddrPort(value)
		case "--comment":
			r.match("comment", quote(strings.ReplaceAll(value, "_", " ")))
		case "-j":
			r.Target, r.Chain = value, strings.HasPrefix(value, "KUBE-")
		case "-m":
			r.sticky = value == "recent"
		}
	}
	return r
}

// fill makes a Save of lines in the form of iptables-save.
func fill(text string) *Save {
	s := NewSave("iptables")
	table := ""
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case strings.HasPrefix(words[0], "*"):
			table = words[0][1:]
		case strings.HasPrefix(words[0], ":"):
			s.Chain(table, words[0][1:], "-", 0)
		default:
			s.Rule(table, []byte(words[1]), rule(line))
		}
	}
	return s
}

func TestFronts(t *testing.T) {
	const head = "*nat\n:PREROUTING\n:KUBE-SERVICES\n:KUBE-NODEPORTS\n:KUBE-SVC-A\n:KUBE-SVL-A\n:KUBE-EXT-A\n:KUBE-XLB-A\n:KUBE-FW-A\n:KUBE-SEP-A\n:KUBE-SEP-B\n" +
		"-A KUBE-SEP-A -s 10.0.0.1 -j KUBE-MARK-MASQ\n-A KUBE-SEP-A --to 10.0.0.1:80\n-A KUBE-SEP-B --to 10.0.0.2:80\n"
	const reached = head + "-A PREROUTING -j KUBE-SERVICES\n-A KUBE-SERVICES -j KUBE-NODEPORTS\n"
	const both = "-A KUBE-SVC-A -j KUBE-SEP-A\n-A KUBE-SVC-A -j KUBE-SEP-B\n"
	const front = "-A KUBE-SERVICES -d 10.96.0.7/32 --dport 80 -j "
	for _, tt := range []struct{ name, text, want string }{
		{"nothing leads there", head + both + front + "KUBE-SVC-A", "iptables tcp 10.96.0.7:80 cluster"},
		{"in order", reached + both + front + "KUBE-SVC-A", "iptables tcp 10.96.0.7:80 cluster 10.0.0.1:80 10.0.0.2:80"},
		{"chain that is not there", reached + front + "KUBE-SVC-Z", "iptables tcp 10.96.0.7:80 cluster"},
		{"chain that is empty", reached + front + "KUBE-SVC-A", "iptables tcp 10.96.0.7:80 cluster"},
		{"sticky", reached + "-A KUBE-SVC-A -m recent -j KUBE-SEP-A\n-A KUBE-SVC-A -m recent -j KUBE-SEP-B\n-A KUBE-SVC-A -j KUBE-SEP-B\n" + front + "KUBE-SVC-A",
			"iptables tcp 10.96.0.7:80 cluster 10.0.0.2:80"},
		{"chains that lead to each other", reached + both + "-A KUBE-SVC-A -j KUBE-EXT-A\n-A KUBE-EXT-A -j KUBE-SVC-A\n" + front + "KUBE-SVC-A",
			"iptables tcp 10.96.0.7:80 cluster 10.0.0.1:80 10.0.0.2:80"},
		{"local", reached + both + "-A KUBE-SVL-A -j KUBE-SEP-B\n-A KUBE-EXT-A -s 10.244.0.0/16 -j KUBE-SVC-A\n-A KUBE-EXT-A -j KUBE-SVL-A\n" + front + "KUBE-EXT-A",
			"iptables tcp 10.96.0.7:80 external 10.0.0.2:80\niptables tcp 10.96.0.7:80 inside 10.0.0.1:80 10.0.0.2:80"},
		{"local, before Kubernetes 1.24", reached + both + "-A KUBE-XLB-A -s 10.244.0.0/16 -j KUBE-SVC-A\n-A KUBE-XLB-A -j KUBE-SEP-B\n-A KUBE-NODEPORTS --dport 30080 -j KUBE-MARK-MASQ\n-A KUBE-NODEPORTS --dport 30080 -j KUBE-XLB-A",
			"iptables tcp nodeport:30080 nodeport 10.0.0.2:80\niptables tcp nodeport:30080 inside 10.0.0.1:80 10.0.0.2:80"},
		{"external IP, before Kubernetes 1.24", reached + both + "-A KUBE-SERVICES -d 192.0.2.1/32 --dport 80 --comment web_external_IP -j KUBE-SVC-A",
			"iptables tcp 192.0.2.1:80 external 10.0.0.1:80 10.0.0.2:80"},
		{"load balancer for some sources", reached + both + "-A KUBE-FW-A -s 192.0.2.0/24 -j KUBE-EXT-A\n-A KUBE-EXT-A -j KUBE-SVC-A\n" + front + "KUBE-FW-A",
			"iptables tcp 10.96.0.7:80 external 10.0.0.1:80 10.0.0.2:80"},
		{"node port over the loopback address alone", reached + both + "-A KUBE-EXT-A -j KUBE-SVC-A\n-A KUBE-NODEPORTS -d 127.0.0.0/8 --dport 30080 -j KUBE-EXT-A", ""},
		{"no endpoints", "*filter\n:KUBE-SERVICES\n:KUBE-EXTERNAL-SERVICES\n-A KUBE-SERVICES -d 10.96.0.7/32 --dport 80 -j REJECT\n-A KUBE-EXTERNAL-SERVICES --dport 30080 -j DROP",
			"iptables tcp 10.96.0.7:80 reject\niptables tcp nodeport:30080 drop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.TrimSpace(lines(fill(tt.text).Services())); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestIPVS(t *testing.T) {
	const text = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> 0A4D000A:192B      Masq    1      3          0
UDP  0A60000A:0035 rr
  -> 0AF40102:0035      Masq    1      0          7
  -> 0AF40203:0035      Masq    0      0          2
TCP  0A4D000B:7580 rr persistent 10800
  -> 0AF40107:1F90      Masq    1      0          0
TCP  AC110001:7580 rr persistent 10800
  -> 0AF40107:1F90      Masq    1      0          0
TCP  [2001:0db8:0000:0000:0000:0000:0000:0007]:0050 rr
  -> [fd00:0000:0000:0000:0000:0000:0000:0009]:1F90      Masq    1      0          0
SCTP 0A600009:9603 rr
FWM  00000001 rr
  -> 0AF40107:1F90      Masq    1      0          0
`
	virtual := map[netip.Addr]bool{}
	for _, a := range []string{"10.96.0.1", "10.96.0.10", "10.96.0.9", "2001:db8::7"} {
		virtual[netip.MustParseAddr(a)] = true
	}
	rules, err := IPVS(text, virtual)
	const want = `ipvs tcp 10.96.0.1:443 cluster 10.77.0.10:6443
ipvs udp 10.96.0.10:53 cluster 10.244.1.2:53
ipvs tcp nodeport:30080 nodeport 10.244.1.7:8080
ipvs tcp [2001:db8::7]:80 cluster [fd00::9]:8080
ipvs sctp 10.96.0.9:38403 cluster
`
	if got := lines(rules); err != nil || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
	for _, wrong := range []string{"TCP x rr\n", "TCP 0A600001:1 rr\n", "TCP 0A600001:01BB rr\n -> 0A4D:192B Masq 1 0 0\n"} {
		if rules, err := IPVS(wrong, nil); err == nil {
			t.Errorf("%q: got %v, want an error", wrong, rules)
		}
	}
}
