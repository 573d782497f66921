package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// enter runs a command in the cgroups, namespaces and root of a node. The
// command is killed when enter is.
func enter(cgroups string, pid int, command []string) error {
	if len(command) == 0 {
		return errors.New("no command to run")
	}
	if err := joinCgroups(cgroups); err != nil {
		return fmt.Errorf("joining the cgroups: %w", err)
	}
	// The thread that enters is the one that starts the command, and it may
	// never run anything else. Its end kills the command.
	runtime.LockOSThread()
	if err := enterNamespaces(pid); err != nil {
		return fmt.Errorf("entering the node of process %d: %w", pid, err)
	}
	cmd := exec.Command(inNode, append([]string{"exec", "--"}, command...)...)
	cmd.Env = []string{"PATH=" + nodePath, "HOME=/root", "LANG=C.UTF-8"}
	if term, set := os.LookupEnv("TERM"); set {
		cmd.Env = append(cmd.Env, "TERM="+term)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

const (
	// inNode is where a node sees this program.
	inNode   = "/lab/bin/labnode"
	nodePath = "/lab/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// become replaces this process by a command that dies with whoever asked for
// it. SysProcAttr.Pdeathsig cannot do that across PID namespaces: it takes the
// parent, which has no number in this one, for dead.
func become(command []string) error {
	if len(command) == 0 {
		return errors.New("no command to run")
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // the signal is the thread's
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Exec(program, command, os.Environ()); err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}

// enterNamespaces moves the calling thread into the node of pid. Children are
// in its PID namespace, the thread itself is not.
func enterNamespaces(pid int) error {
	// A thread that shares its root and working directory with others may not
	// change its mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	root, err := os.Open(fmt.Sprintf("/proc/%d/root", pid))
	if err != nil {
		return err
	}
	defer root.Close()
	kinds := []string{"cgroup", "ipc", "uts", "net", "pid", "mnt"}
	var files []*os.File
	for _, kind := range kinds { // before any of them changes what /proc shows
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
	}
	for i, f := range files {
		if err := unix.Setns(int(f.Fd()), 0); err != nil {
			return fmt.Errorf("%s namespace: %w", kinds[i], err)
		}
	}
	if err := unix.Fchdir(int(root.Fd())); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}
