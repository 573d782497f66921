package tries_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// try makes one that a pod of node a made.
func try(kind facts.TryKind, target facts.TryTarget, to string, sent, lost int, err string) facts.Try {
	return facts.Try{Node: "a", Kind: kind, Target: target, To: "192.0.2.7:47806", ToNode: to, Sent: sent, Lost: lost, Err: err}
}

const (
	none  = "no answer"
	stall = "connected, but 65536 bytes do not come through"
)

func TestWhatCameBack(t *testing.T) {
	for _, tt := range []struct {
		try                       facts.Try
		reached, refused, stalled bool
	}{
		{try(facts.TryTCP, facts.TargetPod, "b", 3, 0, ""), true, false, false},
		{try(facts.TryTCP, facts.TargetPod, "b", 3, 2, none), true, false, false},
		{try(facts.TryTCP, facts.TargetPod, "b", 3, 3, none), false, false, false},
		{try(facts.TryTCP, facts.TargetPod, "b", 3, 3, "connection refused"), true, true, false},
		{try(facts.TryTCP, facts.TargetPod, "b", 3, 3, "no route to host"), false, false, false},
		{try(facts.TryTCP, facts.TargetPod, "b", 3, 3, stall), true, false, true},
		{try(facts.TryTCP, facts.TargetPod, "b", 3, 1, stall), true, false, false},
	} {
		if r, f, s := tries.Reached(tt.try), tries.Refused(tt.try), tries.Stalled(tt.try); r != tt.reached || f != tt.refused || s != tt.stalled {
			t.Errorf("%+v: reached %t, refused %t, stalled %t", tt.try, r, f, s)
		}
	}
}

func TestTrouble(t *testing.T) {
	ok := func(kind facts.TryKind) facts.Try { return try(kind, facts.TargetPod, "b", 3, 0, "") }
	dead := func(kind facts.TryKind) facts.Try { return try(kind, facts.TargetPod, "b", 3, 3, none) }
	for _, tt := range []struct {
		name  string
		tries []facts.Try
		want  tries.Trouble
	}{
		{"nothing tried", nil, 0},
		{"well", []facts.Try{ok(facts.TryTCP), ok(facts.TryUDP)}, 0},
		{"some lost", []facts.Try{try(facts.TryTCP, facts.TargetPod, "b", 3, 2, none), ok(facts.TryUDP)}, 0},
		{"dead", []facts.Try{dead(facts.TryTCP), dead(facts.TryUDP)}, tries.Dead},
		{"TCP alone was tried", []facts.Try{dead(facts.TryTCP)}, tries.Dead},
		{"sizes alone were tried", []facts.Try{dead(facts.TryMTU)}, 0},
		{"UDP is dead", []facts.Try{ok(facts.TryTCP), dead(facts.TryUDP)}, tries.NoUDP},
		{"TCP is dead", []facts.Try{dead(facts.TryTCP), ok(facts.TryUDP)}, tries.NoTCP},
		{"it stalls", []facts.Try{try(facts.TryTCP, facts.TargetPod, "b", 3, 3, stall), ok(facts.TryUDP)}, tries.Stalls},
		{"it stalls, and UDP is dead", []facts.Try{try(facts.TryTCP, facts.TargetPod, "b", 3, 3, stall), dead(facts.TryUDP)}, tries.Stalls},
		{"of two addresses one is dead", []facts.Try{ok(facts.TryTCP), dead(facts.TryTCP), dead(facts.TryUDP), ok(facts.TryUDP)}, tries.Dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &facts.Snapshot{Tries: tt.tries, Gaps: map[string]string{"probe/b": "its pod did not end in time"}}
			got := tries.Trouble(0)
			if l := tries.Links(s)[tries.Pair{From: "a", To: "b"}]; l != nil {
				got = l.Trouble()
			}
			if got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// TestNonsenseIsLeftOut: what one node's pod prints can neither name others nor count below
// nothing.
func TestNonsenseIsLeftOut(t *testing.T) {
	s := &facts.Snapshot{Tries: []facts.Try{
		try(facts.TryTCP, facts.TargetPod, "nowhere", 3, 3, none), try(facts.TryTCP, facts.TargetPod, "a", -1, 0, ""), try(facts.TryTCP, facts.TargetPod, "a", 3, 4, none),
		{Kind: facts.TryTCP, Target: facts.TargetPod, ToNode: "a", Sent: 3, Lost: 3}, {Node: "a", Host: true, Kind: facts.TryTCP, Target: facts.TargetPod, ToNode: "a", Sent: 3},
	}}
	if links := tries.Links(s); len(links) != 0 {
		t.Errorf("%v", links)
	}
	if nodes := tries.Nodes(s); !slices.Equal(nodes, []string{"a"}) {
		t.Errorf("%q", nodes)
	}
}

func TestMute(t *testing.T) {
	own, other := try(facts.TryTCP, facts.TargetNode, "a", 3, 0, ""), try(facts.TryTCP, facts.TargetNode, "b", 3, 3, none)
	server := try(facts.TryTCP, facts.TargetAPIServer, "", 3, 3, none)
	for _, tt := range []struct {
		name  string
		tries []facts.Try
		want  bool
	}{
		{"nothing was tried", nil, false},
		{"its own kubelet alone", []facts.Try{own}, false},
		{"kubelets alone", []facts.Try{own, other}, false},
		{"the API server's Service alone answers", []facts.Try{other, server, try(facts.TryTCP, facts.TargetAPIService, "", 3, 0, "")}, false},
		{"the node's rules refuse for the Service", []facts.Try{other, server, try(facts.TryTCP, facts.TargetAPIService, "", 3, 3, "connection refused")}, true},
		{"nothing answers but its own", []facts.Try{own, other, server}, true},
		{"another one refuses", []facts.Try{try(facts.TryTCP, facts.TargetNode, "b", 3, 3, "connection refused"), server}, false},
	} {
		if got := tries.Mute(&facts.Snapshot{Tries: tt.tries}, "a"); got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
}

func TestQuote(t *testing.T) {
	for _, tt := range []struct {
		try  facts.Try
		want string
	}{
		{try(facts.TryTCP, facts.TargetPod, "b", 3, 3, none), "tcp to 192.0.2.7:47806 (a pod on Node b): 3 of 3 in vain, no answer"},
		{try(facts.TryTCP, facts.TargetAPIServer, "", 3, 0, ""), "tcp to 192.0.2.7:47806 (an API server): answered"},
		{facts.Try{Kind: facts.TryMTU, Target: facts.TargetPod, To: "[fd00::1]:47806", ToNode: "b", Sent: 9, Lost: 8, Size: 1402}, "mtu to [fd00::1]:47806 (a pod on Node b): packets of up to 1450 bytes come through whole"},
		{facts.Try{Kind: facts.TryDNSUDP, Target: facts.TargetDNSService, To: "10.96.0.10:53", Name: "x.test.", Sent: 10, Lost: 3, Rcode: "SERVFAIL"},
			"dns-udp to 10.96.0.10:53 for x.test. (the DNS Service): answered SERVFAIL, and 3 of 10 lost"},
		{facts.Try{Kind: "quic", Target: "moon", To: "x", Sent: 1}, "quic to x: answered"},
	} {
		if got := tries.Quote(tt.try).Text; got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	if long := tries.Quotes([]facts.Try{{Node: strings.Repeat("x", 300)}, {}}, 1); len(long) != 1 {
		t.Errorf("%d are quoted", len(long))
	}
}
