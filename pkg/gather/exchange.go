package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	// patience is how long a server must have had for its answer before the lack of one is
	// its fault, and not that of a slow way to it.
	patience = 2 * time.Second
	// slowAnswer is when a question is asked once more: the way may have been slow once.
	slowAnswer  = time.Second
	mostRecords = 10 // of one answer are kept
)

var (
	// errForeign is what an answer is that does not belong to the question.
	errForeign = errors.New("it answers another question")
	// errClosed says that the server closed the connection, or that the way to it broke.
	errClosed = errors.New("it closes the connection without an answer")
)

// ask asks a server one question, and once more where the connection ends without a word:
// that may be the port-forward's end. not says why it could not be asked: what goes wrong
// on the way is not the server's fault.
func (f *forward) ask(ctx context.Context, p *facts.Pod, q question) (out facts.Answer, not string) {
	out = facts.Answer{Namespace: p.Namespace, Pod: p.Name, Kind: q.kind, Name: q.name, Type: dns.TypeToString[q.qtype]}
	for again := range 2 {
		to, err := within(ctx, func() (*stream, error) { return f.open(p.DNSPort()) })
		switch {
		case err != nil && again > 0:
			return out, "the port-forward broke off"
		case err != nil:
			return out, refusal(err)
		}
		var reply *dns.Msg
		if reply, out.Took, err = exchange(ctx, to, q); err == nil {
			_ = to.Reset()
			out.Rcode, out.Records, out.Err = rcode(reply), records(reply, q.qtype), ""
			return out, ""
		}
		if not, err = blame(ctx, to, p, out.Took, err); not != "" {
			return out, not
		}
		if out.Err = brief(err.Error()); !errors.Is(err, errClosed) || again > 0 {
			return out, ""
		}
	}
	return out, ""
}

// exchange asks a question and returns the answer, which has at most 64 KiB, and how long
// it took; of two tries the shorter, where the first took long.
func exchange(ctx context.Context, to *stream, q question) (reply *dns.Msg, took time.Duration, err error) {
	begin := time.Now()
	reply, err = within(ctx, func() (*dns.Msg, error) { return roundTrip(to, q) })
	if took = time.Since(begin); err != nil || took < slowAnswer {
		return reply, took, err
	}
	begin = time.Now()
	if second, err := within(ctx, func() (*dns.Msg, error) { return roundTrip(to, q) }); err == nil {
		return second, min(took, time.Since(begin)), nil
	}
	return reply, took, nil
}

func roundTrip(to *stream, q question) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(q.name, q.qtype)
	conn := &dns.Conn{Conn: to}
	if err := conn.WriteMsg(query); err != nil {
		return nil, err
	}
	reply, err := conn.ReadMsg()
	if err != nil {
		return nil, err
	}
	ours := reply.Response && reply.Id == query.Id && len(reply.Question) == 1 &&
		strings.EqualFold(reply.Question[0].Name, q.name) && reply.Question[0].Qtype == q.qtype
	if !ours {
		return nil, errForeign
	}
	return reply, nil
}

// blame says whose fault it is that no answer came: the server's, or that of the way to it.
func blame(ctx context.Context, to *stream, p *facts.Pod, took time.Duration, err error) (not string, fault error) {
	if ctx.Err() != nil {
		if took < patience {
			return "the way to it took too long", nil
		}
		return "", fmt.Errorf("no answer in %d s", int(took.Round(time.Second).Seconds()))
	}
	var malformed *dns.Error
	switch {
	case errors.Is(err, errForeign):
		return "", err
	case errors.As(err, &malformed):
		return "", fmt.Errorf("what it answers is no DNS message: %w", err)
	}
	said, _ := within(ctx, func() (string, error) { return to.failure(), nil })
	switch {
	case strings.Contains(strings.ToLower(said), "connection refused"):
		return "", fmt.Errorf("nothing listens on TCP port %d", p.DNSPort())
	case said != "":
		return brief(said), nil
	}
	return "", errClosed
}

// within returns what a function does, or the context's error where that ends first. The
// function goes on until the port-forward is closed.
func within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func rcode(reply *dns.Msg) string {
	return cmp.Or(dns.RcodeToString[reply.Rcode], "RCODE"+strconv.Itoa(reply.Rcode))
}

// records returns the first values of an answer that are of the type that was asked for.
func records(reply *dns.Msg, qtype uint16) []string {
	var out []string
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype != qtype || len(out) == mostRecords {
			continue
		}
		switch r := rr.(type) {
		case *dns.A:
			out = append(out, r.A.String())
		case *dns.AAAA:
			out = append(out, r.AAAA.String())
		case *dns.PTR:
			out = append(out, brief(r.Ptr))
		}
	}
	slices.Sort(out)
	return out
}
