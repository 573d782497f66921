package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/build"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// asLab makes the test binary behave as the lab command, so that tests run it
// as its users do: as a process with pipes, signals and an exit code.
const asLab = "NETDOCTOR_LAB_TEST_AS_LAB"

func TestMain(m *testing.M) {
	if os.Getenv(asLab) != "" {
		main()
	}
	os.Exit(m.Run())
}

func labCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asLab+"=1")
	return cmd
}

// needBinaries returns the directory of the binaries and builds them first if
// no earlier run has.
func needBinaries(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the binaries of the control plane")
	}
	bin, err := build.Module{FS: module}.Plane(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// runningLab is a "lab up" that has said that it is ready.
type runningLab struct {
	cmd        *exec.Cmd
	stdin      io.Closer
	stdout     *bufio.Reader
	stderr     bytes.Buffer
	kubeconfig string
}

// startLab runs cmd, a "lab up", and waits for its ready line.
func startLab(t *testing.T, cmd *exec.Cmd) *runningLab {
	t.Helper()
	l := &runningLab{cmd: cmd}
	cmd.Stderr = &l.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.stdin, l.stdout = stdin, bufio.NewReader(stdout)
	line, _ := l.stdout.ReadString('\n')
	path, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		t.Fatalf("lab up: %v, said %q and %s", l.wait(), line, &l.stderr)
	}
	l.kubeconfig = path
	return l
}

// wait returns what the lab's Wait returns, after its output has ended.
func (l *runningLab) wait() error {
	_, _ = io.Copy(io.Discard, l.stdout)
	return l.cmd.Wait()
}

// children returns the processes whose parent is pid, by their name.
func children(t *testing.T, pid int) map[string]int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, path := range stats {
		var child, parent int
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		if _, err := fmt.Sscanf(afterName(stat), "%d", &parent); err != nil || parent != pid {
			continue
		}
		fmt.Sscanf(filepath.Base(filepath.Dir(path)), "%d", &child)
		exe, err := os.Readlink(filepath.Join(filepath.Dir(path), "exe"))
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(exe)] = child
	}
	return found
}

// afterName returns what follows name and state in /proc/PID/stat; the name
// may itself hold spaces and parentheses.
func afterName(stat []byte) string {
	return string(stat[bytes.LastIndexByte(stat, ')')+len(") S "):])
}

// awaitGone fails the test unless every process ends soon. A zombie counts as
// ended: whoever inherited it has not looked yet.
func awaitGone(t *testing.T, pids map[string]int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, pid := range pids {
		err := wait.Until(ctx, func() error {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil || bytes.Contains(stat, []byte(") Z ")) {
				return nil
			}
			return errors.New("still there")
		})
		if err != nil {
			t.Errorf("%s (pid %d) outlives the lab", name, pid)
		}
	}
}
