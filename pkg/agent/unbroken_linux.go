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
