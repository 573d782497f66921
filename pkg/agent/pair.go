package agent

import (
	"cmp"
	"context"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// tryPairs asks a DNS server as resolvers do: for A and AAAA at once, from one socket. Where
// rules of Services race, one of two such packets is lost (kubernetes/kubernetes#56903). Of
// questions that are sent one after the other none is.
func tryPairs(ctx context.Context, t Target, out *facts.Try) {
	for range burst / 2 {
		if ctx.Err() != nil || out.Lost >= attempts && out.Lost == out.Sent {
			break // it is dead, and the rest would only take time
		}
		begin := time.Now()
		answered, rcode, err := pair(ctx, t)
		if answered < 2 && over(ctx) {
			break // there was no time for an answer: that is no loss
		}
		out.Sent += 2
		if answered < 2 {
			out.Lost += 2 - answered
			out.Err = brief(err)
		} else {
			out.Worst = max(out.Worst, time.Since(begin))
		}
		if rcode != "" && (out.Rcode == "" || rcode != "NOERROR") {
			out.Rcode = rcode
		}
	}
}

// pair sends two questions at once and returns how many were answered, and the rcode of that
// for A: servers may be told to deny AAAA. The error tells why an answer is missing.
func pair(ctx context.Context, t Target) (answered int, rcode string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	var dialer net.Dialer
	socket, err := dialer.DialContext(ctx, "udp", t.To)
	if err != nil {
		return 0, "", err
	}
	conn := &dns.Conn{Conn: socket}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)

	open := map[uint16]uint16{} // the type that is asked for, by ID
	var sending sync.WaitGroup
	var failed [2]error // of writing: what the first question met may be told to the second
	together := make(chan struct{})
	for i, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		query := new(dns.Msg)
		query.SetQuestion(dns.Fqdn(t.Name), kind)
		for open[query.Id] != 0 {
			query.Id = dns.Id()
		}
		open[query.Id] = kind
		sending.Go(func() {
			<-together
			failed[i] = conn.WriteMsg(query)
		})
	}
	close(together)
	sending.Wait()
	if err := cmp.Or(failed[0], failed[1]); err != nil {
		return 0, "", err
	}
	for len(open) > 0 {
		reply, err := conn.ReadMsg()
		if err != nil {
			return answered, rcode, err
		}
		switch open[reply.Id] {
		case 0:
			continue // nobody asked, or it came before
		case dns.TypeA:
			rcode = dns.RcodeToString[reply.Rcode]
		}
		delete(open, reply.Id)
		answered++
	}
	return answered, rcode, nil
}
