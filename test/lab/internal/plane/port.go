package plane

import (
	"fmt"
	"syscall"
)

// soReusePort is SO_REUSEPORT, which package syscall does not name on amd64.
const soReusePort = 0xf

// reservePort finds a free port on 127.0.0.1 and keeps it from everybody but
// processes of this user that also set SO_REUSEPORT. Finding a port and closing
// it again, as is common, lets another process take it before the child does.
// The socket never listens, so it takes no connections away from the child.
func reservePort() (port int, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("opening a socket: %w", err)
	}
	port, err = bindLoopback(fd)
	if err != nil {
		syscall.Close(fd)
		return 0, nil, fmt.Errorf("reserving a port: %w", err)
	}
	return port, func() { syscall.Close(fd) }, nil
}

func bindLoopback(fd int) (port int, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soReusePort, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return addr.(*syscall.SockaddrInet4).Port, nil
}
