// Package plane gives tests a real API server, built and started by test/lab, in a network
// namespace of its own in which every address of 10/8 is local: nodes and pods can then
// have the addresses that clusters have. Whole states are written straight into its etcd.
package plane

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// insideEnv marks the process that runs in the network namespace, and holds the folder
// of the built programs.
const insideEnv = "NETDOCTOR_PLANE_BIN"

// Main is the TestMain of a package of the folder test. Where the machine gives no network
// namespace, nothing is tested, and that is said.
func Main(m *testing.M) {
	if os.Getenv(insideEnv) == "" {
		os.Exit(outside())
	}
	if err := openNetwork(); err != nil {
		fmt.Fprintln(os.Stderr, "setting up the network namespace:", err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// outside builds what the tests run, then runs this test binary again inside a new
// network namespace.
func outside() int {
	bin, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, "building for the tests:", err)
		return 2
	}
	defer os.RemoveAll(bin)
	inner := exec.Command("/proc/self/exe", os.Args[1:]...)
	inner.Env = append(os.Environ(), insideEnv+"="+bin)
	inner.Stdout, inner.Stderr = os.Stdout, os.Stderr
	inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		inner.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		inner.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		inner.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err = inner.Run()
	var status *exec.ExitError
	switch {
	case errors.As(err, &status):
		return status.ExitCode()
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EINVAL):
		fmt.Fprintln(os.Stderr, "SKIPPED: these tests need a network namespace, which this machine does not give:", err)
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "running the tests:", err)
		return 2
	}
	return 0
}

// build builds the plugin and the lab's programs and returns the folder that holds them
// or leads to them.
func build() (string, error) {
	bin, err := os.MkdirTemp("", "netdoctor-plane-")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(bin, "kubectl-netdoctor"), "../../cmd/kubectl-netdoctor"},
		{"build", "-C", "../lab", "-o", filepath.Join(bin, "lab"), "."},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	programs := exec.Command(filepath.Join(bin, "lab"), "build")
	programs.Stderr = os.Stderr
	out, err := programs.Output()
	if err != nil {
		return "", fmt.Errorf("lab build: %w", err)
	}
	kubectl := filepath.Join(strings.TrimSpace(string(out)), "kubectl")
	return bin, os.Symlink(kubectl, filepath.Join(bin, "kubectl"))
}

func openNetwork() error {
	for _, args := range []string{"link set lo up", "route add local 10.0.0.0/8 dev lo"} {
		if err := ip(args); err != nil {
			return err
		}
	}
	return nil
}

func ip(args string) error {
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}

// Program returns the path of a built program: kubectl-netdoctor, lab or kubectl.
func Program(name string) string { return filepath.Join(os.Getenv(insideEnv), name) }

// Everywhere makes every address local until the test ends, so that the API server reaches
// nodes and pods wherever a state has them.
func Everywhere(t *testing.T) {
	t.Helper()
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		if err := ip("route add local " + all + " dev lo"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ip("route del local " + all + " dev lo") })
	}
}
