package gather_test

import (
	"context"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
)

// pipes is a network in memory: unlike a real one it lets the clock of a synctest bubble
// run while everybody waits.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6443} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lookWithin is look inside a synctest bubble, with a time limit; it also says how long
// it took.
func lookWithin(t *testing.T, limit time.Duration, c *cluster, opts gather.Options) (*facts.Snapshot, time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return lookUntil(ctx, t, c, opts)
}

func lookUntil(ctx context.Context, t *testing.T, c *cluster, opts gather.Options) (*facts.Snapshot, time.Duration, error) {
	t.Helper()
	network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := httptest.NewUnstartedServer(c)
	srv.Listener.Close()
	srv.Listener = network
	srv.Start()
	defer srv.Close()
	start := time.Now()
	s, err := gather.Live(klog.NewContext(ctx, klog.Logger{}), &rest.Config{Host: srv.URL, Dial: network.dial}, opts)
	return s, time.Since(start), err
}
