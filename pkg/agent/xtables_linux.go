package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent/netfilter"
)

// Options of linux/netfilter_ipv4/ip_tables.h; ip6_tables.h has the same numbers.
const (
	xtGetInfo    = 64
	xtGetEntries = 65
)

// mostLegacy bounds a table; one of 10,000 Services with five endpoints each takes 70 MiB.
const mostLegacy = 256 << 20

// readLegacy reads a table of the older ip_tables or ip6_tables.
func readLegacy(save *netfilter.Save, table string, v6 bool) error {
	err := withLegacy(table, v6, func(info, entries []byte) error {
		parsed, err := netfilter.ParseLegacyInfo(info)
		if err != nil {
			return err
		}
		return netfilter.Legacy(save, table, v6, parsed, entries)
	})
	if err != nil {
		return fmt.Errorf("reading table %s: %w", table, err)
	}
	return nil
}

// withLegacy calls with struct ipt_getinfo and the entries of a table, which are gone
// afterwards.
func withLegacy(table string, v6 bool, use func(info, entries []byte) error) error {
	family, level := unix.AF_INET, unix.SOL_IP
	if v6 {
		family, level = unix.AF_INET6, unix.SOL_IPV6
	}
	// iptables takes a raw socket, which needs one more capability.
	socket, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	info := make([]byte, netfilter.LegacyInfoSize)
	for range nftTries {
		if err = getsockopt(socket, level, xtGetInfo, table, info); err != nil {
			return err
		}
		var size int
		if size, err = legacySize(info); err != nil {
			return err
		}
		// EAGAIN: the table has changed, and its size with it.
		if err = legacyEntries(socket, level, table, size, func(entries []byte) error { return use(info, entries) }); !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
	return err
}

func legacySize(info []byte) (int, error) {
	parsed, err := netfilter.ParseLegacyInfo(info)
	if err == nil && parsed.ByteSize > mostLegacy {
		err = fmt.Errorf("it takes %d bytes, more than %d", parsed.ByteSize, mostLegacy)
	}
	return int(parsed.ByteSize), err
}

func legacyEntries(socket, level int, table string, size int, use func([]byte) error) error {
	// Beside the heap, so that it is gone at once.
	all, err := unix.Mmap(-1, 0, netfilter.LegacyHeadSize+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(all) }()
	binary.NativeEndian.PutUint32(all[32:], uint32(size))
	if err := getsockopt(socket, level, xtGetEntries, table, all); err != nil {
		return err
	}
	return use(all[netfilter.LegacyHeadSize:])
}

// getsockopt fills a structure that begins with the name of a table.
func getsockopt(socket, level, option int, table string, into []byte) error {
	const nameSize = 32
	if len(table) >= nameSize {
		return unix.EINVAL
	}
	copy(into, table)
	size := uint32(len(into))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(socket), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&into[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
