package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/redact"
)

const mostProcesses = 100_000

// listening reads the sockets of the network namespace that the process is in.
func listening(proc tree) (string, error) {
	var out []string
	var failed error
	for _, list := range []struct{ file, proto string }{{"tcp", "tcp"}, {"tcp6", "tcp"}, {"udp", "udp"}, {"udp6", "udp"}} {
		file, err := proc.open("/net/"+list.file, false)
		if errors.Is(err, errAbsent) && strings.HasSuffix(list.file, "6") {
			continue // a kernel without IPv6
		}
		if err == nil {
			var found []string
			found, err = listeners(list.proto, file)
			file.Close()
			out = append(out, found...)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("/proc/net/%s: %w", list.file, err))
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		return "", failed
	}
	return strings.Join(slices.Compact(out), "\n") + "\n", failed
}

// kubeletCmdline returns the arguments of the process that is called kubelet. One in a
// PID namespace of its own is in a container, where every program may call itself so.
func kubeletCmdline(root tree) (string, error) {
	dir, err := root.open("/proc", true)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	proc := int(dir.Fd())
	if _, err := readProcess(proc, "1", "status"); err != nil {
		return "", errors.New("the host's processes cannot be seen")
	}
	names, err := dir.Readdirnames(mostProcesses)
	if err != nil {
		return "", err
	}
	var found []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if status, err := readProcess(proc, name, "status"); err == nil && isKubelet(status) {
			found = append(found, pid)
		}
	}
	if len(found) == 0 {
		return "", errAbsent
	}
	slices.Sort(found)
	args, err := readProcess(proc, strconv.Itoa(found[0]), "cmdline")
	if err != nil || args == "" {
		return "", errors.Join(errors.New("its arguments cannot be read"), err)
	}
	if len(found) > 1 {
		err = fmt.Errorf("%d processes are called kubelet: these are the arguments of the first, %d", len(found), found[0])
	}
	return safeArgs(strings.Split(strings.TrimRight(args, "\x00"), "\x00")), err
}

// readProcess reads a file of a process. There are thousands of processes, and no links
// on this way: it is shorter than that of tree.
func readProcess(proc int, pid, name string) (string, error) {
	dir, err := unix.Openat(proc, pid, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer syscall.Close(dir)
	var stat unix.Stat_t
	if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return "", err
	}
	if listType(stat.Mode) != "-" {
		return "", errors.New("is no regular file")
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, mostFileBytes))
	return string(data), err
}

// isKubelet tells it from /proc/PID/status (proc_pid_status(5)).
func isKubelet(status string) bool {
	named, namespaces := false, 1
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "Name":
			named = strings.TrimSpace(value) == "kubelet"
		case "NSpid":
			namespaces = len(strings.Fields(value))
		}
	}
	return named && namespaces == 1
}

// safeArgs writes arguments one a line, without secrets.
func safeArgs(args []string) string {
	var out strings.Builder
	for _, arg := range redact.Args(args) {
		out.WriteString(printable(arg) + "\n")
	}
	return out.String()
}
