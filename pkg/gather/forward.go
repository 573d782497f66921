package gather

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// forward is a port-forward to one pod. Unlike kubectl's it opens no port on the machine
// that others could use meanwhile, and it keeps what the kubelet says of a failure.
type forward struct {
	conn httpstream.Connection
	next atomic.Int64
}

// newForward connects to a pod through the API server, as kubectl does. The connection
// ends with the context.
func newForward(ctx context.Context, config *rest.Config, p *facts.Pod) (*forward, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 0 // it would end the stream
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	to := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.Namespace).Name(p.Name).SubResource("portforward").URL()
	dialer, err := dialerTo(config, to)
	if err != nil {
		return nil, err
	}
	type dialed struct {
		conn httpstream.Connection
		err  error
	}
	done := make(chan dialed, 1)
	go func() {
		conn, protocol, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		if err == nil && protocol != portforward.PortForwardProtocolV1Name {
			_ = conn.Close()
			err = fmt.Errorf("the server speaks %q", protocol)
		}
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		done <- dialed{conn, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case d := <-done:
		return &forward{conn: d.conn}, d.err
	}
}

// dialerTo asks for a websocket first and falls back to SPDY, as kubectl does.
func dialerTo(config *rest.Config, to *url.URL) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, to)
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(to, config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(tunnel, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// open connects to a port of the pod.
func (f *forward) open(port int) (*stream, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(f.next.Add(1), 10))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	fails, err := f.conn.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	_ = fails.Close() // nothing is written to it
	headers = headers.Clone()
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := f.conn.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	return &stream{Stream: data, fails: fails}, nil
}

// stream is a connection to a port of a pod. Deadlines mean nothing to it: it ends with
// the port-forward.
type stream struct {
	httpstream.Stream
	fails httpstream.Stream
}

// mostSaid bounds what is kept of what a node says of a failure, in bytes.
const mostSaid = 300

// failure waits for the end of the connection and returns why the kubelet says it could
// not reach the port, "" where it could.
func (s *stream) failure() string {
	_ = s.Reset() // or what is unsent keeps the other stream from ending
	text, _ := io.ReadAll(io.LimitReader(s.fails, 4<<10))
	return string(text)
}

// brief is the first line of what a stranger says, at most mostSaid bytes of it.
func brief(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.ToValidUTF8(line[:min(len(line), mostSaid)], "")
}

func (s *stream) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *stream) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
