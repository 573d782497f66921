// Package node makes the nodes of a lab: a node has a root filesystem,
// namespaces of every kind and cgroups of its own, and shares the kernel and
// the programs in /usr with the machine.
package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/network"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/tail"
	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// bootTimeout is how long a node may take to make its filesystem.
const bootTimeout = 30 * time.Second

// Node is one node, running or not.
type Node struct {
	Name      string
	Dir       string // of everything about it; may hold gigabytes
	Address   string
	Namespace network.Namespace
	Bin       string // directory of the programs, labnode among them
	Images    string // directory of the image archives
}

func (n Node) path(elem ...string) string {
	return filepath.Join(append([]string{n.Dir}, elem...)...)
}

func (n Node) cgroups() string { return n.path("cgroups") }

// Boot makes the node and starts its PID 1, which outlives the caller.
func (n Node) Boot(ctx context.Context, c Config) error {
	if err := n.makeRoot(c); err != nil {
		return fmt.Errorf("making the filesystem of %s: %w", n.Name, err)
	}
	// The network namespace's name is nobody else's, so this one is not either.
	if err := createCgroups(n.cgroups(), string(n.Namespace)); err != nil {
		return fmt.Errorf("making the cgroups of %s: %w", n.Name, err)
	}
	logFile, err := os.Create(n.path("boot.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	cmd := n.Namespace.Command(ctx, filepath.Join(n.Bin, "labnode"), "boot",
		"-name", n.Name, "-root", n.path("root"), "-cgroups", n.cgroups(), "-bin", n.Bin, "-images", n.Images)
	cmd.Stderr = logFile
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("booting %s: %w; the end of %s:\n%s", n.Name, err, logFile.Name(), tail.File(logFile.Name()))
	}
	return os.WriteFile(n.path("pid"), out, 0o644)
}

// pid returns the node's PID 1 as seen from the machine. It is an error if
// that one does not run.
func (n Node) pid() (int, error) {
	content, err := os.ReadFile(n.path("pid"))
	if err != nil {
		return 0, fmt.Errorf("%s does not run: %w", n.Name, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("reading the PID of %s: %w", n.Name, err)
	}
	if !n.Namespace.Holds(pid) { // it has ended, and the number may be somebody else's
		return 0, fmt.Errorf("%s does not run: its PID 1 has ended", n.Name)
	}
	return pid, nil
}

// Running returns nil if the node's PID 1 runs, which says nothing about its
// services.
func (n Node) Running() error {
	_, err := n.pid()
	return err
}

// Command returns a command that runs on the node as root.
func (n Node) Command(ctx context.Context, command ...string) (*exec.Cmd, error) {
	pid, err := n.pid()
	if err != nil {
		return nil, err
	}
	args := []string{"enter", "-pid", strconv.Itoa(pid), "-cgroups", n.cgroups(), "--"}
	return exec.CommandContext(ctx, filepath.Join(n.Bin, "labnode"), append(args, command...)...), nil
}

// Exec runs a command on the node and returns what it printed, which an error
// repeats.
func (n Node) Exec(ctx context.Context, command ...string) (string, error) {
	cmd, err := n.Command(ctx, command...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %s: %w\n%s", n.Name, strings.Join(command, " "), errors.Join(err, context.Cause(ctx)), out)
	}
	return string(out), err
}

// Destroy ends the node and everything on it and removes it, whatever state it
// is in.
func (n Node) Destroy(ctx context.Context) error {
	// PID 1 is in the node's network namespace, and nothing on the node survives
	// it.
	err := wait.For(ctx, 20*time.Second, func() error {
		if _, err := os.Stat(n.Namespace.Path()); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return n.Namespace.Kill()
	})
	if err != nil {
		return fmt.Errorf("ending %s: %w", n.Name, err)
	}
	if err := removeCgroups(ctx, n.cgroups()); err != nil {
		return fmt.Errorf("removing the cgroups of %s: %w", n.Name, err)
	}
	if err := os.RemoveAll(n.Dir); err != nil {
		return fmt.Errorf("removing the filesystem of %s: %w", n.Name, err)
	}
	return nil
}
