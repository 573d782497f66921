package gather

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"k8s.io/streaming/pkg/httpstream"
)

// piped is a stream through memory, where the clock of a synctest bubble runs.
type piped struct {
	httpstream.Stream
	conn net.Conn
}

func (p piped) Read(b []byte) (int, error)  { return p.conn.Read(b) }
func (p piped) Write(b []byte) (int, error) { return p.conn.Write(b) }

// Of an answer that takes a second or more the question is asked once again, and the better
// time counts.
func TestExchangeSlow(t *testing.T) {
	for _, tt := range []struct {
		delays []time.Duration // of one answer after the other
		took   time.Duration
	}{
		{delays: []time.Duration{999 * time.Millisecond}, took: 999 * time.Millisecond},
		{delays: []time.Duration{time.Second, 3 * time.Millisecond}, took: 3 * time.Millisecond},
		{delays: []time.Duration{1200 * time.Millisecond, 2 * time.Second}, took: 1200 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			var asked []time.Duration
			done := make(chan struct{})
			go func() {
				defer close(done)
				for conn := (&dns.Conn{Conn: server}); ; {
					q, err := conn.ReadMsg()
					if err != nil {
						return
					}
					delay := tt.delays[min(len(asked), len(tt.delays)-1)]
					asked = append(asked, delay)
					time.Sleep(delay)
					if conn.WriteMsg(new(dns.Msg).SetReply(q)) != nil {
						return
					}
				}
			}()
			reply, took, err := exchange(t.Context(), &stream{Stream: piped{conn: client}}, question{name: "registry.example.", qtype: dns.TypeA})
			if err != nil || reply == nil || took != tt.took {
				t.Errorf("delays %s: took %s, want %s; %v, %v", tt.delays, took, tt.took, reply, err)
			}
			_ = client.Close()
			<-done
			if !slices.Equal(asked, tt.delays) {
				t.Errorf("answered after %s, want %s", asked, tt.delays)
			}
		})
	}
}
