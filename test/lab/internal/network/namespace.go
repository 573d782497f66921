// Package network makes the network of a lab: one namespace for each machine
// and one for the switch between them. The machine's own network namespace is
// not touched.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespaceDir is where "ip netns" looks too.
const namespaceDir = "/run/netns"

// Namespace is the name of a network namespace.
type Namespace string

// Path returns the file that holds the namespace open.
func (n Namespace) Path() string { return filepath.Join(namespaceDir, string(n)) }

// Create makes the namespace, in which nothing but a loopback exists. It is an
// error if the name is taken.
func (n Namespace) Create() error {
	if _, err := os.Lstat(n.Path()); err == nil {
		return fmt.Errorf("network namespace %s exists and is not this lab's", n)
	}
	if err := makeNamespaceDir(); err != nil {
		return fmt.Errorf("preparing %s: %w", namespaceDir, err)
	}
	return onOwnThread(func() error {
		ns, err := netns.NewNamed(string(n))
		if err != nil {
			return fmt.Errorf("creating network namespace %s: %w", n, err)
		}
		return ns.Close()
	})
}

// Delete removes the namespace, or what is left of it. Processes in it keep it
// alive without its name.
func (n Namespace) Delete() error {
	err := unix.Unmount(n.Path(), unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting network namespace %s: %w", n, err)
	}
	if err := os.Remove(n.Path()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing network namespace %s: %w", n, err)
	}
	if entries, err := os.ReadDir(namespaceDir); err == nil && len(entries) == 0 {
		// As it was before the first one. Both fail if somebody has just made
		// another.
		_ = unix.Unmount(namespaceDir, 0)
		_ = os.Remove(namespaceDir)
	}
	return nil
}

// makeNamespaceDir makes the directory a mount point, as the first "ip netns
// add" on a machine does. If that came after this one, it would hide the
// namespaces below its own mount, where they could not be removed.
func makeNamespaceDir() error {
	if err := os.MkdirAll(namespaceDir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", namespaceDir, "", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) { // which says that it is no mount point yet
		return err
	}
	if err := unix.Mount(namespaceDir, namespaceDir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.Mount("", namespaceDir, "", unix.MS_SHARED|unix.MS_REC, "")
}

// Do calls f in the namespace. Goroutines that f starts are outside of it,
// processes that f starts are inside.
func (n Namespace) Do(f func() error) error {
	ns, err := os.Open(n.Path())
	if err != nil {
		return fmt.Errorf("opening network namespace %s: %w", n, err)
	}
	defer ns.Close()
	return onOwnThread(func() error {
		if err := netns.Set(netns.NsHandle(ns.Fd())); err != nil {
			return fmt.Errorf("entering network namespace %s: %w", n, err)
		}
		return f()
	})
}

// onOwnThread calls f, which may change the thread's network namespace, and
// changes it back. A thread that cannot be changed back is not used again.
func onOwnThread(f func() error) error {
	runtime.LockOSThread()
	before, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer before.Close()
	err = f()
	if backErr := netns.Set(netns.NsHandle(before.Fd())); backErr != nil {
		return errors.Join(err, fmt.Errorf("leaving the network namespace: %w", backErr))
	}
	runtime.UnlockOSThread()
	return err
}

// Dial connects from inside the namespace to an address, which must be numeric.
func (n Namespace) Dial(ctx context.Context, kind, address string) (net.Conn, error) {
	var conn net.Conn
	// With a single numeric address the socket is made by this goroutine.
	err := n.Do(func() (err error) {
		dialer := net.Dialer{Timeout: 5 * time.Second}
		conn, err = dialer.DialContext(ctx, kind, address)
		return err
	})
	return conn, err
}

// Command returns a command that runs in the namespace and is otherwise like
// one of exec.CommandContext.
func (n Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + n.Path(), "--", name}, args...)...)
}

// Processes returns the processes in the namespace. They are the lab's: nobody
// else has a reason to be there.
func (n Namespace) Processes() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		if n.Holds(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Kill ends every process in the namespace and is nil once none is left.
func (n Namespace) Kill() error {
	pids, err := n.Processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		// The handle stays with its process, whose number could meanwhile be
		// somebody else's.
		p, err := os.FindProcess(pid)
		if err != nil {
			continue // ended meanwhile
		}
		if n.Holds(pid) {
			_ = p.Kill() // fails only if it has ended
		}
		_ = p.Release() // of a handle that nobody waits on
	}
	if len(pids) > 0 {
		return fmt.Errorf("%d processes in network namespace %s", len(pids), n)
	}
	return nil
}

// Holds tells whether the process is in the namespace.
func (n Namespace) Holds(pid int) bool {
	var wanted, got unix.Stat_t
	return unix.Stat(n.Path(), &wanted) == nil &&
		unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &got) == nil &&
		wanted.Dev == got.Dev && wanted.Ino == got.Ino
}
