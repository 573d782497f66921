package agent

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// TryOwn tries a Service that leads to facts.BehindPort of this pod, and returns what came of it
// as soon as that is known: once it answers, or once somebody else was led here by it and this
// pod is not. Until then its rules may not be written, however long that takes, and a failure
// says nothing. It ends with the context, with nothing tried, and with an error where nobody can
// be let in. Others are let in until the context ends.
func TryOwn(ctx context.Context, node string, t Target) (facts.Try, error) {
	return tryOwn(ctx, node, t, net.JoinHostPort("", strconv.Itoa(facts.BehindPort)))
}

func tryOwn(ctx context.Context, node string, t Target, behind string) (facts.Try, error) {
	var config net.ListenConfig
	door, err := config.Listen(ctx, "tcp", behind)
	if err != nil {
		return facts.Try{}, err
	}
	context.AfterFunc(ctx, func() { _ = door.Close() })
	led := make(chan struct{}, 1)
	go letIn(door, led)

	again := time.NewTicker(rules / 40)
	defer again.Stop()
	for known := false; !known; {
		if _, err := once(ctx, t); err == nil {
			break
		}
		select {
		case <-led:
			known = true
		case <-again.C:
		case <-ctx.Done():
			return facts.Try{}, ctx.Err()
		}
	}
	out := try(ctx, t, 0)
	out.Node = node
	return out, nil
}

// letIn takes connections until the door is closed, and tells of the first.
func letIn(door net.Listener, led chan<- struct{}) {
	for {
		conn, err := door.Accept()
		if err != nil {
			return
		}
		_ = conn.Close()
		select {
		case led <- struct{}{}:
		default:
		}
	}
}
