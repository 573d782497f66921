package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	attempts = 3 // of connections and packets: one that is lost is no fault yet
	// burst is how many questions a DNS server gets: where replies are lost to a race of
	// conntrack, some of ten are.
	burst  = 10
	answer = 2 * time.Second // how long an answer may take
	// smallest is a payload that comes through wherever IPv4 does (RFC 791: 576 bytes).
	smallest = 512
	// together is how many targets are tried at once.
	together = 8
)

// Try tries all of a plan, several things at once, and returns what came of each.
func Try(ctx context.Context, node string, plan Plan) []facts.Try {
	targets := plan.Targets
	if plan.Upstream != "" {
		targets = append(targets, upstreams("/etc/resolv.conf", plan.Upstream)...)
	}
	out := make([]facts.Try, len(targets))
	// Asked before anything is sent: what the kernel learns of a path later would hide that
	// it takes less than is sent into it.
	largest := make([]int, len(targets))
	for i, t := range targets {
		if t.Kind == facts.TryMTU {
			largest[i] = largestTo(t.To)
		}
	}
	slots := make(chan struct{}, together)
	var wait sync.WaitGroup
	for i, t := range targets {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = try(ctx, t, largest[i])
			out[i].Node = node
		})
	}
	wait.Wait()
	return out
}

// upstreams are the servers that a resolv.conf names, loopback addresses left out: they
// mean something else in a pod.
func upstreams(file, name string) []Target {
	config, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil
	}
	var out []Target
	for _, server := range config.Servers {
		if ip := net.ParseIP(server); ip == nil || ip.IsLoopback() {
			continue
		}
		for _, kind := range []facts.TryKind{facts.TryDNSUDP, facts.TryDNSTCP} {
			out = append(out, Target{Kind: kind, To: net.JoinHostPort(server, "53"), Target: facts.TargetUpstream, Name: name, Count: attempts})
		}
	}
	return out
}

func try(ctx context.Context, t Target, largest int) facts.Try {
	out := facts.Try{Kind: t.Kind, To: t.To, ToNode: t.ToNode, Target: t.Target, Name: t.Name}
	if t.Kind == facts.TryMTU {
		tryMTU(ctx, &out, largest)
		return out
	}
	count := t.Count
	if count == 0 {
		count = attempts
		if t.Kind == facts.TryDNSUDP {
			count = burst
		}
	}
	for range min(count, 100) {
		if ctx.Err() != nil || out.Lost >= attempts && out.Lost == out.Sent {
			break // it is dead, and the rest would only take time
		}
		begin := time.Now()
		rcode, err := once(ctx, t)
		out.Sent++
		if err != nil {
			out.Lost++
			out.Err = brief(err)
			continue
		}
		out.Worst = max(out.Worst, time.Since(begin))
		if out.Rcode == "" || rcode != "NOERROR" {
			out.Rcode = rcode
		}
	}
	return out
}

// once makes one attempt and returns what a DNS server answered.
func once(ctx context.Context, t Target) (rcode string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	switch t.Kind {
	case facts.TryTCP:
		return "", connect(ctx, t)
	case facts.TryUDP:
		return "", packet(ctx, t.To, 64, false)
	case facts.TryDNSUDP, facts.TryDNSTCP:
		query := new(dns.Msg)
		query.SetQuestion(dns.Fqdn(t.Name), dns.TypeA)
		client := dns.Client{Net: string(t.Kind)[len("dns-"):], Timeout: answer}
		reply, _, err := client.ExchangeContext(ctx, query, t.To)
		if err != nil {
			return "", err
		}
		return dns.RcodeToString[reply.Rcode], nil
	}
	return "", fmt.Errorf("nothing is known of trying %q: use the image of this version", t.Kind)
}

// connect opens a connection; to another probe pod it sends bulk bytes over it as well.
func connect(ctx context.Context, t Target) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", t.To)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if t.Target != facts.TargetPod && t.Target != facts.TargetItself {
		return nil
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := conn.Write(make([]byte, bulk)); err != nil {
		return fmt.Errorf("connected, but %d bytes do not come through: %w", bulk, err)
	}
	reply := make([]byte, 4)
	if _, err := io.ReadFull(conn, reply); err != nil || binary.BigEndian.Uint32(reply) != bulk {
		return fmt.Errorf("connected, but %d bytes do not come through: %w", bulk, err)
	}
	return nil
}

// packet sends one packet to another probe pod and waits for its answer.
func packet(ctx context.Context, to string, payload int, whole bool) error {
	dialer := net.Dialer{}
	if whole {
		dialer.Control = func(network, _ string, c syscall.RawConn) error { return unbroken(network, c) }
	}
	conn, err := dialer.DialContext(ctx, "udp", to)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := conn.Write(make([]byte, payload)); err != nil {
		return err
	}
	reply := make([]byte, 4)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return err
	}
	if got := int(binary.BigEndian.Uint32(reply)); got != payload {
		return fmt.Errorf("%d of %d bytes came", got, payload)
	}
	return nil
}

// tryMTU finds the largest packet that comes through without being broken up, from the
// largest that the pod would send downwards.
func tryMTU(ctx context.Context, out *facts.Try, largest int) {
	comesThrough := func(payload int) bool {
		for range attempts {
			if ctx.Err() != nil {
				return false
			}
			out.Sent++
			each, cancel := context.WithTimeout(ctx, answer/4)
			err := packet(each, out.To, payload, true)
			cancel()
			if err == nil {
				return true
			}
			out.Lost++
			out.Err = brief(err)
		}
		return false
	}
	if !comesThrough(smallest) {
		return
	}
	for _, mtu := range sizes(largest) {
		if payload := mtu - overhead(out.To); comesThrough(payload) {
			out.Size = payload
			return
		}
	}
	out.Size = smallest
}

// sizes are the sizes of packets to try, the largest first.
func sizes(largest int) []int {
	out := []int{largest}
	for _, mtu := range []int{8951, 8900, 1500, 1480, 1450, 1440, 1430, 1420, 1400, 1380, 1350, 1300, 1280, 1000, 800} {
		if mtu < largest {
			out = append(out, mtu)
		}
	}
	return out
}

// largestTo is the size of the largest packet that is sent to an address unbroken: what the
// interface takes, or less where the route there says so, as Cilium's does.
func largestTo(to string) int {
	const usual, most = 1500, 65535 // the longest that IP has a number for
	conn, err := net.Dial("udp", to)
	if err != nil {
		return usual
	}
	defer func() { _ = conn.Close() }()
	udp, ok := conn.(*net.UDPConn)
	here, known := conn.LocalAddr().(*net.UDPAddr)
	if !ok || !known {
		return usual
	}
	largest := min(mtuOf(here.IP, usual), most)
	if raw, err := udp.SyscallConn(); err == nil {
		if mtu := routeMTU(raw, here.IP.To4() == nil); mtu > 0 {
			largest = min(largest, mtu)
		}
	}
	return largest
}

func mtuOf(ip net.IP, otherwise int) int {
	all, err := net.Interfaces()
	if err != nil {
		return otherwise
	}
	for _, i := range all {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
				return i.MTU
			}
		}
	}
	return otherwise
}

// overhead is what the heads of IP and UDP take, in bytes.
func overhead(to string) int {
	if host, _, _ := net.SplitHostPort(to); net.ParseIP(host).To4() == nil {
		return 48
	}
	return 28
}

// brief keeps the cause of an error and leaves out the addresses, which stand beside it.
func brief(err error) string {
	if op, ok := err.(*net.OpError); ok { //nolint:errorlint // what wraps one has words of its own
		err = op.Err
	}
	if call, ok := err.(*os.SyscallError); ok { //nolint:errorlint // likewise
		err = call.Err
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		if text, _, found := strings.Cut(err.Error(), ": "); found && strings.HasPrefix(text, "connected") {
			return text
		}
		return "no answer"
	}
	return err.Error()
}
