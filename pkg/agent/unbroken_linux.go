package agent

import (
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// unbroken makes a socket send packets that no router may break up, whatever the kernel
// has learned of the path so far (ip(7), IP_PMTUDISC_PROBE).
func unbroken(network string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		if strings.HasSuffix(network, "6") {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
			return
		}
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	})
	return errors.Join(err, failed)
}

// routeMTU is what the route of a connected socket takes, in bytes, 0 where it does not say
// (ip(7), IP_MTU).
func routeMTU(c syscall.RawConn, six bool) int {
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if six {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	mtu := 0
	_ = c.Control(func(fd uintptr) {
		if got, err := unix.GetsockoptInt(int(fd), level, option); err == nil {
			mtu = got
		}
	})
	return mtu
}
