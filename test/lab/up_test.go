package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestUpServesUntilStdinCloses(t *testing.T) {
	bin := needBinaries(t)
	l := startLab(t, labCommand(t, "up", "--bin", bin, "--state", t.TempDir()))
	pids := children(t, l.cmd.Process.Pid)
	ports := listening(t, pids)
	if len(pids) != 3 || len(ports) != 3 {
		t.Errorf("children %v listen on %v, want three each", pids, ports)
	}

	out, err := exec.Command(filepath.Join(bin, "kubectl"), "--kubeconfig", l.kubeconfig,
		"get", "namespaces", "-o", "name").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "namespace/kube-system\n") {
		t.Errorf("kubectl get namespaces: %v\n%s", err, out)
	}

	l.stdin.Close()
	if err := l.wait(); err != nil {
		t.Errorf("after stdin was closed: %v\n%s", err, &l.stderr)
	}
	awaitGone(t, pids)
	for _, addr := range ports {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("something still listens on %s", addr)
		}
	}
}

func TestUpNeedsNothingButLoopback(t *testing.T) {
	bin := needBinaries(t)
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip, of iproute2, is not installed")
	}
	cmd := labCommand(t, "up", "--bin", bin, "--state", t.TempDir())
	cmd.Args = append([]string{"sh", "-c", `ip link set lo up && exec "$0" "$@"`}, cmd.Args...)
	cmd.Path = "/bin/sh"
	cmd.SysProcAttr = ownNetwork()
	if err := probeStart(t, cmd.SysProcAttr); err != nil {
		t.Skip("cannot make a network namespace:", err)
	}
	l := startLab(t, cmd)
	l.stdin.Close()
	if err := l.wait(); err != nil {
		t.Errorf("after stdin was closed: %v\n%s", err, &l.stderr)
	}
}

func TestUpWithoutControllersEndsOnSignal(t *testing.T) {
	bin := needBinaries(t)
	l := startLab(t, labCommand(t, "up", "--bin", bin, "--state", t.TempDir(), "--no-controllers"))
	pids := children(t, l.cmd.Process.Pid)
	if _, runs := pids["kube-controller-manager"]; runs || len(pids) != 2 {
		t.Errorf("children = %v, want etcd and kube-apiserver", pids)
	}
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := l.wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, &l.stderr)
	}
	awaitGone(t, pids)
}

func TestKilledLabLeavesNoChildren(t *testing.T) {
	bin := needBinaries(t)
	l := startLab(t, labCommand(t, "up", "--bin", bin, "--state", t.TempDir(), "--no-controllers"))
	pids := children(t, l.cmd.Process.Pid)
	if err := l.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := l.wait(); err == nil {
		t.Error("a killed lab ended well")
	}
	awaitGone(t, pids)
}

func TestUpNamesChildThatDies(t *testing.T) {
	bin := needBinaries(t)
	l := startLab(t, labCommand(t, "up", "--bin", bin, "--state", t.TempDir(), "--no-controllers"))
	pids := children(t, l.cmd.Process.Pid)
	if err := syscall.Kill(pids["etcd"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, l.wait(), exitFailed, l.stderr.String(), "etcd ended early (signal: killed)")
	awaitGone(t, pids)
}

func TestUpPassesArgumentsAndShowsLog(t *testing.T) {
	bin := needBinaries(t)
	cmd := labCommand(t, "up", "--bin", bin, "--state", t.TempDir(), "--apiserver-arg", "--no-such-flag")
	stdin, err := cmd.StdinPipe() // an empty stdin would end the lab
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	wantFailure(t, cmd.Run(), exitFailed, stderr.String(),
		"kube-apiserver ended early (exit status 1)", "unknown flag: --no-such-flag")
}

func TestCommandLineMistakes(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "dear"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		exit int
		want string
	}{
		{"no command", nil, exitUsage, "usage:"},
		{"unknown command", []string{"sideways"}, exitUsage, `unknown command "sideways"`},
		{"unknown flag", []string{"up", "--knots=2"}, exitUsage, "not defined: -knots"},
		{"argument", []string{"build", "all"}, exitUsage, `unexpected argument "all"`},
		{"both kinds", []string{"up", "--state", full, "--nodes=2"}, exitUsage, "--nodes and --state exclude each other"},
		{"wrong kind", []string{"up", "--no-controllers"}, exitUsage, "--no-controllers needs --state"},
		{"empty state", []string{"up", "--state="}, exitUsage, "--state is empty"},
		{"unknown image command", []string{"image", "eat"}, exitUsage, "load is expected"},
		{"no archive", []string{"image", "load"}, exitUsage, "an archive is expected"},
		{"unknown fault", []string{"break", "a-leg"}, exitUsage, `no fault "a-leg"`},
		{"no lab", []string{"exec", "--name=none", "node1", "true"}, exitFailed, `no lab is running by the name "none"`},
		{"used state", []string{"up", "--bin", "/", "--state", full}, exitFailed, "is not empty"},
		{"no binaries", []string{"up", "--bin", full, "--state", t.TempDir()}, exitFailed, "starting etcd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := labCommand(t, tc.args...)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			wantFailure(t, cmd.Run(), tc.exit, stderr.String(), tc.want)
		})
	}
}

func wantFailure(t *testing.T, err error, exit int, stderr string, want ...string) {
	t.Helper()
	var exitErr *exec.ExitError
	if !errors.As(err, &exitErr) || exitErr.ExitCode() != exit {
		t.Errorf("lab ended with %v, want exit status %d", err, exit)
	}
	for _, w := range want {
		if !strings.Contains(stderr, w) {
			t.Errorf("stderr lacks %q:\n%s", w, stderr)
		}
	}
}

// listening returns the addresses that the command lines of pids name and
// fails the test if one of them takes no connections.
func listening(t *testing.T, pids map[string]int) []string {
	t.Helper()
	var addrs []string
	for _, pid := range pids {
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:http://127\.0\.0\.1:|--secure-port=)([1-9]\d+)`).FindAllSubmatch(cmdline, -1) {
			addrs = append(addrs, net.JoinHostPort("127.0.0.1", string(m[1])))
		}
	}
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	for _, addr := range addrs {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	return addrs
}

// ownNetwork asks for a network namespace, which without privileges takes a
// user namespace as well.
func ownNetwork() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid := os.Geteuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// probeStart tells whether processes can be started with attr.
func probeStart(t *testing.T, attr *syscall.SysProcAttr) error {
	cmd := exec.CommandContext(t.Context(), "true")
	cmd.SysProcAttr = attr
	return cmd.Run()
}
