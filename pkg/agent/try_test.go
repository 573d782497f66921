package agent

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// peer serves on loopback until the test ends and returns its address.
func peer(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, address) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestPeersAnswer(t *testing.T) {
	to := peer(t)
	plan := Plan{}
	for _, kind := range []facts.TryKind{facts.TryTCP, facts.TryUDP, facts.TryMTU} {
		plan.Targets = append(plan.Targets, Target{Kind: kind, To: to, ToNode: "b", Target: facts.TargetPod})
	}
	tries := Try(t.Context(), "a", plan)
	for _, try := range tries {
		if !try.OK() || try.Node != "a" || try.ToNode != "b" {
			t.Errorf("%+v", try)
		}
	}
	if size := tries[2].Size; size < 60000 { // loopback takes packets of 64 KiB
		t.Errorf("the largest packet has %d bytes", size)
	}
}

func TestNobodyAnswers(t *testing.T) {
	quiet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // connects, and takes nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tt := range []struct {
		target Target
		err    string
	}{
		{Target{Kind: facts.TryUDP, To: quiet.LocalAddr().String(), Target: facts.TargetPod, Count: 1}, "no answer"},
		{Target{Kind: facts.TryDNSUDP, To: quiet.LocalAddr().String(), Target: facts.TargetDNSPod, Name: "a.example.", Count: 1}, "no answer"},
		{Target{Kind: facts.TryTCP, To: mute.Addr().String(), Target: facts.TargetPod, Count: 1}, "connected, but 65536 bytes do not come through"},
		{Target{Kind: facts.TryTCP, To: closed.Addr().String(), Target: facts.TargetNode, Count: 1}, "connection refused"},
		{Target{Kind: "quic", To: closed.Addr().String(), Count: 1}, `nothing is known of trying "quic": use the image of this version`},
	} {
		try := Try(t.Context(), "n", Plan{Targets: []Target{tt.target}})[0]
		if !try.Dead() || try.Err != tt.err {
			t.Errorf("%s to %s: %+v, want %q", tt.target.Kind, tt.target.Target, try, tt.err)
		}
	}
}

func TestRcodesAreTold(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		asked.Add(1)
		reply := new(dns.Msg)
		reply.SetRcode(m, dns.RcodeServerFailure)
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	try := Try(t.Context(), "n", Plan{Targets: []Target{{Kind: facts.TryDNSUDP, To: pc.LocalAddr().String(), Target: facts.TargetDNSService, Name: "x.test."}}})[0]
	if try.Rcode != "SERVFAIL" || try.Sent != burst || try.Lost != 0 || try.OK() || asked.Load() != burst {
		t.Errorf("%+v, asked %d", try, asked.Load())
	}
}

// TestTwoAtOnce: the questions for A and AAAA are both under way from one socket before either is
// answered, and an answer of which only one comes is the loss of the other.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	const deaf = "deaf.test."
	var mu sync.Mutex
	waiting := map[string]*dns.Msg{} // by the address of the socket
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reply := func(w dns.ResponseWriter, m *dns.Msg, rcode int) { _ = w.WriteMsg(new(dns.Msg).SetRcode(m, rcode)) }
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		if m.Question[0].Name == deaf {
			if m.Question[0].Qtype == dns.TypeA {
				reply(w, m, dns.RcodeSuccess)
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		first := waiting[w.RemoteAddr().String()]
		if first == nil {
			waiting[w.RemoteAddr().String()] = m
			return
		}
		if first.Question[0].Qtype != m.Question[0].Qtype {
			for _, q := range []*dns.Msg{m, first, first} { // the last once more, which does not count
				if q.Question[0].Qtype == dns.TypeA {
					reply(w, q, dns.RcodeNameError)
				} else {
					reply(w, q, dns.RcodeRefused)
				}
			}
		}
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	target := Target{Kind: facts.TryDNSUDP, To: pc.LocalAddr().String(), Target: facts.TargetDNSService, Name: "x.test."}
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	closed := target
	closed.To = gone.LocalAddr().String()
	half := target
	half.Name = deaf
	tries := Try(t.Context(), "n", Plan{Targets: []Target{target, half, closed}})
	if try := tries[2]; !try.Dead() || try.Err != "connection refused" {
		t.Errorf("nobody listens: %+v", try)
	}
	if try := tries[0]; try.Sent != burst || try.Lost != 0 || try.Rcode != "NXDOMAIN" || try.Worst == 0 {
		t.Errorf("%+v", try)
	}
	if try := tries[1]; try.Sent != burst || try.Lost != burst/2 || try.Rcode != "NOERROR" || try.Err != "no answer" {
		t.Errorf("one of two is answered: %+v", try)
	}
}

// TestRulesAreAwaited: a Service that was just made leads nowhere until its rules are written,
// which is no loss; one that never does is dead.
func TestRulesAreAwaited(t *testing.T) {
	t.Parallel()
	late, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := late.Addr().String()
	late.Close()
	never := "127.0.0.1:1" // tcpmux, which nobody runs
	written := make(chan net.Listener, 1)
	time.AfterFunc(rules/4, func() {
		l, err := net.Listen("tcp", to)
		if err != nil {
			t.Error(err)
		}
		written <- l
	})
	tries := Try(t.Context(), "n", Plan{Targets: []Target{
		{Kind: facts.TryTCP, To: to, Target: facts.TargetLocalService}, {Kind: facts.TryTCP, To: never, Target: facts.TargetLocalService},
	}})
	if l := <-written; l != nil {
		defer l.Close()
	}
	if try := tries[0]; try.Sent != attempts || try.Lost != 0 || try.Err != "" {
		t.Errorf("rules that are written: %+v", try)
	}
	if try := tries[1]; !try.Dead() || try.Sent != attempts || try.Err != "connection refused" {
		t.Errorf("rules that never are: %+v", try)
	}
}

// TestOwnIsLed: a pod knows that it does not reach itself once somebody else was led to it, and
// not before; where it does reach itself it knows at once.
func TestOwnIsLed(t *testing.T) {
	t.Parallel()
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	const nowhere = "127.0.0.1:1"
	target := Target{Kind: facts.TryTCP, To: nowhere, Target: facts.TargetOwnService}

	soon, end := context.WithTimeout(t.Context(), rules/8)
	defer end()
	if own, err := tryOwn(soon, "n", target, free()); err == nil || own.Sent != 0 {
		t.Errorf("nobody was led there: %+v, %v", own, err)
	}

	told, behind := make(chan facts.Try, 1), free()
	go func() {
		own, err := tryOwn(t.Context(), "n", target, behind)
		if err != nil {
			t.Error(err)
		}
		told <- own
	}()
	for {
		conn, err := net.Dial("tcp", behind)
		if err == nil {
			conn.Close()
			break
		}
		select {
		case own := <-told:
			t.Fatalf("it was told before: %+v", own)
		case <-time.After(time.Millisecond):
		}
	}
	if own := <-told; !own.Dead() || own.Sent != attempts || own.Node != "n" || own.Target != facts.TargetOwnService {
		t.Errorf("another was led there: %+v", own)
	}

	target.To = free()
	if own, err := tryOwn(t.Context(), "n", target, target.To); err != nil || own.Sent != attempts || own.Lost != 0 {
		t.Errorf("it reaches itself: %+v, %v", own, err)
	}
}

// TestTimeIsBounded stops trying when the time is over, which is no loss.
func TestTimeIsBounded(t *testing.T) {
	quiet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	to := quiet.LocalAddr().String()
	tries := Try(ctx, "n", Plan{Targets: []Target{{Kind: facts.TryMTU, To: to, Target: facts.TargetPod}, {Kind: facts.TryUDP, To: to, Target: facts.TargetPod}}})
	for _, try := range tries {
		if try.Sent != 0 || try.Lost != 0 || try.Err != "" || try.Dead() {
			t.Errorf("what there was no time for is told as lost: %+v", try)
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestPlanOfNonsense(t *testing.T) {
	if _, err := ParsePlan("{"); err == nil || !strings.Contains(err.Error(), PlanVariable) {
		t.Errorf("%v", err)
	}
}
