// Package portforward is the kubelet's side of a port-forward, for tests that stand in for
// one.
package portforward

import (
	"io"
	"net/http"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// Server is what stands behind the ports of a pod: it reads what comes and answers. What it
// returns is what the kubelet says of a failure.
type Server func(port string, conn io.ReadWriter) (fails string)

// Broken is what a server returns where the whole port-forward breaks off.
const Broken = "\x00"

// Serve forwards ports to a server until the client has enough. Like a kubelet it speaks
// SPDY alone.
func Serve(w http.ResponseWriter, r *http.Request, to Server) {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(w, "SPDY is spoken here", http.StatusBadRequest)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		return
	}
	pairs := &pairs{half: map[string]httpstream.Stream{}, to: to, broken: make(chan struct{}, 1)}
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		pairs.add(s)
		return nil
	})
	if conn == nil {
		return
	}
	select {
	case <-conn.CloseChan():
	case <-pairs.broken:
		_ = conn.Close()
	}
}

// pairs joins the two streams of each connection: one for its data, one for what the
// kubelet says of a failure.
type pairs struct {
	to     Server
	broken chan struct{}

	mu   sync.Mutex
	half map[string]httpstream.Stream
}

func (p *pairs) add(s httpstream.Stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
	other, known := p.half[id]
	if !known {
		p.half[id] = s
		return
	}
	delete(p.half, id)
	data, fails := s, other
	if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
		data, fails = other, s
	}
	go func() {
		said := p.to(data.Headers().Get(corev1.PortHeader), data)
		if said == Broken {
			p.broken <- struct{}{}
			return
		}
		_, _ = io.WriteString(fails, said)
		_ = fails.Close()
		_ = data.Close()
	}()
}

// Refuse is a pod in which nothing listens, in the words of containerd.
func Refuse(port string, _ io.ReadWriter) string {
	return "error forwarding port " + port + ` to pod 9c3f, uid : failed to execute portforward in network namespace "/var/run/netns/cni-0e7c": failed to connect to localhost:` + port +
		` inside namespace "9c3f", IPv4: dial tcp4 127.0.0.1:` + port + ": connect: connection refused IPv6 dial tcp6: address localhost: no suitable address found "
}

// Mute takes what comes and answers nothing.
func Mute(_ string, conn io.ReadWriter) string {
	_, _ = io.Copy(io.Discard, conn)
	return ""
}
