package agent

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// unitManager is a systemd that runs units without being the machine's, as a user's does:
// with a /run of its own, where its socket lies as on a node. Of the machine's cgroups it sees
// the one that was made for it.
const unitManager = `set -e
mount --make-rprivate /
mount -t tmpfs none /run
if mountpoint -q /sys/fs/cgroup/systemd; then umount -R /sys/fs/cgroup; fi
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /run/systemd/system /run/units /run/kubelet
printf '[Unit]\nDefaultDependencies=no\n' > /run/units/lab.target
printf '%s' "$UNIT" > /run/units/kubelet.service
printf '%s' "$CONFIG" > /run/kubelet/config.yaml
export XDG_RUNTIME_DIR=/run HOME=/root SYSTEMD_UNIT_PATH=/run/units
exec systemd --user --unit=lab.target --log-target=console
`

// ofUnit is the setting that the program of these tests reads.
var ofUnit = facts.Setting{Node: "quince-7", Path: "/run/kubelet/config.yaml", Field: "resolvConf", Unit: "kubelet.service"}

// unit makes a kubelet.service out of what its program does first, and once it is up.
func unit(first, then string, more ...string) string {
	return "[Unit]\nDefaultDependencies=no\n[Service]\nRestart=always\nRestartSec=10\nExecStart=/bin/sh -c '" +
		first + "; touch /run/up; " + then + "'\n" + strings.Join(more, "\n") + "\n"
}

// picky is a program that ends at once where its configuration does not please it.
const picky = "if grep -q wrong /run/kubelet/config.yaml; then exit 1; fi"

const forEver = "exec sleep 1000"

// withSystemd starts a systemd with a kubelet.service and returns its node's root.
func withSystemd(t *testing.T, kubelet string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		lacks(t, "root, for a systemd of its own")
	}
	group := cgroup(t)
	log := new(strings.Builder)
	cmd := exec.Command("sh", "-c", unitManager)
	cmd.Env = []string{"PATH=/usr/lib/systemd:/lib/systemd:" + os.Getenv("PATH"), "UNIT=" + kubelet, "CONFIG=" + aConfig}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP,
		UseCgroupFD: true, CgroupFD: int(group.Fd()),
	}
	if err := cmd.Start(); err != nil {
		lacks(t, "namespaces: %v", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	root := fmt.Sprintf("/proc/%d/root", cmd.Process.Pid)
	for begin := time.Now(); time.Since(begin) < 20*time.Second; {
		if conn, err := net.Dial("unix", root+systemdSocket); err == nil {
			conn.Close()
			return root
		}
		select {
		case <-ended:
			lacks(t, "a systemd of its own: %s", log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatal("systemd does not answer")
	return ""
}

// cgroup makes a cgroup of version 2 below the test's own, which ends with the test.
func cgroup(t *testing.T) *os.File {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		lacks(t, "cgroups: %v", err)
	}
	_, name, found := strings.Cut("\n"+string(own), "\n0::")
	name, _, _ = strings.Cut(name, "\n")
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var stat unix.Statfs_t
		if unix.Statfs(dir, &stat) != nil || stat.Type != unix.CGROUP2_SUPER_MAGIC || !found {
			continue
		}
		made, err := os.MkdirTemp(filepath.Join(dir, name), "netdoctor-test-")
		if err != nil {
			lacks(t, "a cgroup: %v", err)
		}
		t.Cleanup(func() { removeCgroup(t, made) })
		group, err := os.Open(made)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { group.Close() })
		return group
	}
	lacks(t, "cgroups of version 2")
	return nil
}

// endProcesses ends those that a systemd has left in a cgroup of its test.
func endProcesses(dir string) {
	text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for line := range strings.Lines(string(text)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// removeCgroup removes a cgroup and those in it as soon as their processes have ended.
func removeCgroup(t *testing.T, dir string) {
	t.Helper()
	until(t, 10*time.Second, dir+" is left behind", func() bool {
		var all []string
		_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, name)
				endProcesses(name)
			}
			return nil
		})
		for _, name := range slices.Backward(all) {
			_ = os.Remove(name)
		}
		_, err := os.Stat(dir)
		return err != nil
	})
}

// until waits until something is so, and else says what is not. It has to ask again and again:
// nobody tells when the program of a unit is up, or when a cgroup is empty.
func until(t *testing.T, longest time.Duration, otherwise string, is func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, longest, true, func(context.Context) (bool, error) { return is(), nil })
	if err != nil {
		t.Fatal(otherwise)
	}
}

// started starts the unit and waits until its program is up.
func started(t *testing.T, root string) {
	t.Helper()
	conn, err := node{root: root}.systemd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	done := make(chan string, 1)
	if _, err := conn.StartUnitContext(t.Context(), "kubelet.service", "replace", done); err != nil {
		t.Fatal(err)
	}
	if result := <-done; result != "done" {
		t.Fatalf("starting it: %s", result)
	}
	until(t, 20*time.Second, "its program does not start", func() bool {
		_, err := os.Stat(root + "/run/up")
		return err == nil
	})
}

func mainProcess(t *testing.T, root string) uint32 {
	t.Helper()
	conn, err := node{root: root}.systemd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p, err := process(t.Context(), conn, "kubelet.service")
	if err != nil {
		t.Fatal(err)
	}
	return p.pid
}
