package agent

import (
	"cmp"
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
	// burst is how many questions a DNS server gets, two at once: where they are lost to a race
	// of conntrack, some of ten are.
	burst  = 10
	answer = 2 * time.Second // how long an answer may take
	// smallest is a payload that comes through wherever IPv4 does (RFC 791: 576 bytes).
	smallest = 512
	// rules is how long the rules of a Service that was just made may take until the first
	// connection: kube-proxy writes at most once a second (minSyncPeriod of its iptables
	// mode), once the pod is Ready and the API server has told it so.
	rules = 8 * time.Second
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
	if t.Kind == facts.TryDNSUDP && t.Count == 0 {
		tryPairs(ctx, t, &out)
		return out
	}
	count := cmp.Or(t.Count, attempts)
	if t.Target == facts.TargetLocalService {
		awaitRules(ctx, t)
	}
	for range min(count, 100) {
		if ctx.Err() != nil || out.Lost >= attempts && out.Lost == out.Sent {
			break // it is dead, and the rest would only take time
		}
		begin := time.Now()
		rcode, err := once(ctx, t)
		if err != nil && over(ctx) {
			break // there was no time for an answer: that is no loss
		}
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

// awaitRules returns once a Service that was just made leads somewhere, or after rules.
func awaitRules(ctx context.Context, t Target) {
	ctx, cancel := context.WithTimeout(ctx, rules)
	defer cancel()
	again := time.NewTicker(rules / 40)
	defer again.Stop()
	for {
		if _, err := once(ctx, t); err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// over tells whether the time is, which a connection may learn sooner than the context.
func over(ctx context.Context) bool {
	end, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(end)
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
	if t.Target != facts.TargetPod {
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
