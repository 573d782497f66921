package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	// bulk is how much a peer sends over TCP, in bytes: more than fits into a few packets,
	// so that it stalls where only small ones come through.
	bulk = 64 << 10
	// mostPeers bounds how many connections are served at once.
	mostPeers = 256
	// patience is how long one connection may take.
	patience = 5 * time.Second
)

// Serve answers other probe pods on facts.PeerPort until the context ends: over TCP it takes bulk
// bytes, over UDP packets of any size, and answers both with how many bytes came. Nothing
// that is received is kept or looked at.
func Serve(ctx context.Context) error {
	return serve(ctx, net.JoinHostPort("", strconv.Itoa(facts.PeerPort)))
}

func serve(ctx context.Context, address string) error {
	var config net.ListenConfig
	stream, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	packets, err := config.ListenPacket(ctx, "udp", stream.Addr().String())
	if err != nil {
		return errors.Join(err, stream.Close())
	}
	context.AfterFunc(ctx, func() {
		_ = stream.Close()
		_ = packets.Close()
	})
	var wait sync.WaitGroup
	wait.Go(func() { answerPackets(packets) })
	slots := make(chan struct{}, mostPeers)
	for {
		conn, err := stream.Accept()
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			continue
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			answerStream(conn)
		})
	}
	wait.Wait()
	return nil
}

// size writes a number of bytes as peers send it.
func size(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func answerStream(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	n, err := io.CopyN(io.Discard, conn, bulk)
	if err == nil {
		_, _ = conn.Write(size(int(n)))
	}
}

func answerPackets(packets net.PacketConn) {
	buffer := make([]byte, 64<<10)
	for {
		n, from, err := packets.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = packets.WriteTo(size(n), from)
		}
	}
}
