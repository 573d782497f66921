package agent

import (
	"context"
	"net"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// tryMTU finds the largest packet that comes through without being broken up, from the
// largest that the pod would send downwards.
func tryMTU(ctx context.Context, out *facts.Try, largest int) {
	defer func(untried facts.Try) {
		if over(ctx) {
			*out = untried // a size that was not reached is not the largest
		}
	}(*out)
	comesThrough := func(payload int) bool {
		for range attempts {
			if ctx.Err() != nil {
				return false
			}
			out.Sent++
			each, cancel := context.WithTimeout(ctx, answer/4)
			err := packet(each, out.To, payload, true)
			cancel()
			if err == nil {
				return true
			}
			out.Lost++
			out.Err = brief(err)
		}
		return false
	}
	if !comesThrough(smallest) {
		return
	}
	for _, mtu := range sizes(largest) {
		if payload := mtu - overhead(out.To); comesThrough(payload) {
			out.Size = payload
			return
		}
	}
	out.Size = smallest
}

// sizes are the sizes of packets to try, the largest first.
func sizes(largest int) []int {
	out := []int{largest}
	for _, mtu := range []int{8951, 8900, 1500, 1480, 1450, 1440, 1430, 1420, 1400, 1380, 1350, 1300, 1280, 1000, 800} {
		if mtu < largest {
			out = append(out, mtu)
		}
	}
	return out
}

// largestTo is the size of the largest packet that is sent to an address unbroken: what the
// interface takes, or less where the route there says so, as Cilium's does.
func largestTo(to string) int {
	const usual, most = 1500, 65535 // the longest that IP has a number for
	conn, err := net.Dial("udp", to)
	if err != nil {
		return usual
	}
	defer func() { _ = conn.Close() }()
	udp, ok := conn.(*net.UDPConn)
	here, known := conn.LocalAddr().(*net.UDPAddr)
	if !ok || !known {
		return usual
	}
	largest := min(mtuOf(here.IP, usual), most)
	if raw, err := udp.SyscallConn(); err == nil {
		if mtu := routeMTU(raw, here.IP.To4() == nil); mtu > 0 {
			largest = min(largest, mtu)
		}
	}
	return largest
}

func mtuOf(ip net.IP, otherwise int) int {
	all, err := net.Interfaces()
	if err != nil {
		return otherwise
	}
	for _, i := range all {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
				return i.MTU
			}
		}
	}
	return otherwise
}

// overhead is what the heads of IP and UDP take, in bytes.
func overhead(to string) int {
	if host, _, _ := net.SplitHostPort(to); net.ParseIP(host).To4() == nil {
		return 48
	}
	return 28
}
