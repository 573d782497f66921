package gather_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kubectl-netdoctor/netdoctor/test/portforward"
)

// A server may answer whatever it likes: it is bounded, and nobody falls over it.
func TestHostileAnswers(t *testing.T) {
	answering := func(change func(q, reply *dns.Msg)) portforward.Server {
		return portforward.DNS(func(q *dns.Msg) *dns.Msg {
			reply := new(dns.Msg).SetReply(q)
			change(q, reply)
			return reply
		})
	}
	records := func(n int, text string) func(q, reply *dns.Msg) {
		return func(q, reply *dns.Msg) {
			for i := range n {
				rr, err := dns.NewRR(fmt.Sprintf(text, q.Question[0].Name, i%250))
				if err != nil {
					panic(err)
				}
				reply.Answer = append(reply.Answer, rr)
			}
		}
	}
	header := func(query []byte, rest ...byte) []byte {
		return portforward.Framed(append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, rest...))
	}
	const notDNS = "what it answers is no DNS message: "
	for _, tt := range []struct {
		name    string
		to      portforward.Server
		err     string
		records int
	}{
		{name: "another's answer", to: answering(func(_, r *dns.Msg) { r.Id++ }), err: "it answers another question"},
		{name: "to another question", to: answering(func(_, r *dns.Msg) { r.Question[0].Name = "evil.example." }), err: "it answers another question"},
		{name: "a question", to: answering(func(_, r *dns.Msg) { r.Response = false }), err: "it answers another question"},
		{name: "without the question", to: answering(func(_, r *dns.Msg) { r.Question = nil }), err: "it answers another question"},
		{name: "many addresses", to: answering(records(1000, "%s 1 IN A 192.0.2.%d")), records: 10},
		{name: "huge texts", to: answering(records(200, "%s 1 IN TXT \""+strings.Repeat("\x1b[31m", 40)+"%d\""))},
		{name: "a pointer to itself", to: portforward.Raw(func(q []byte) []byte { return header(q, 0xc0, 12, 0, 1, 0, 1, 0xc0, 12) }), err: notDNS},
		{name: "pointers in a ring", to: portforward.Raw(func(q []byte) []byte { return header(q, 0xc0, 14, 0xc0, 12) }), err: notDNS},
		{name: "truncated", to: portforward.Raw(func(q []byte) []byte { return portforward.Framed(q[:7]) }), err: notDNS},
		{name: "says more than comes", to: portforward.Raw(func(q []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, 0xffff), q...) }), err: "no answer in 5 s"},
		{name: "empty", to: portforward.Raw(func([]byte) []byte { return []byte{0, 0} }), err: notDNS},
		{name: "nonsense", to: portforward.Raw(func([]byte) []byte { return portforward.Framed([]byte(strings.Repeat("<html>", 9000))) }), err: notDNS},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := see(t, rock(tt.to, nil), asking())
			if len(s.Answers) != 1 {
				t.Fatalf("%d answers, gaps %q", len(s.Answers), s.Gaps)
			}
			a := s.Answers[0]
			if !strings.HasPrefix(a.Err, tt.err) || (a.Err == "") != (tt.err == "") || len(a.Records) != tt.records {
				t.Errorf("got %q with %d records, want %q with %d", a.Err, len(a.Records), tt.err, tt.records)
			}
			if size := len(a.String()); size > 1000 {
				t.Errorf("it says %d bytes", size)
			}
		})
	}
}

// A kubelet may say whatever it likes of a failure as well.
func TestHostileFailure(t *testing.T) {
	s := see(t, rock(func(string, io.ReadWriter) string { return strings.Repeat("no", 40000) + "\n\x00\xff" }, nil), asking())
	if got := s.Gaps["answers/kube-system/rock-dns-0"]; len(got) != 300 {
		t.Errorf("%d bytes of it are kept: %q", len(got), got)
	}
}
