package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Exec runs a command as root on a node, or with the machine's own filesystem
// in the network namespace of ControlPlane, and returns its stdout and stderr.
// An error repeats them. The command is killed when ctx ends.
func (c *Cluster) Exec(ctx context.Context, where string, command ...string) (string, error) {
	if len(command) == 0 {
		return "", errors.New("no command to run")
	}
	if where == ControlPlane {
		return run(ctx, c.Command(ctx, command[0], command[1:]...), command)
	}
	n, err := c.node(where)
	if err != nil {
		return "", err
	}
	return n.Exec(ctx, command...)
}

// ExecCommand returns the command that Exec would run, for callers that give it
// a stdin or a terminal.
func (c *Cluster) ExecCommand(ctx context.Context, where string, command ...string) (*exec.Cmd, error) {
	if len(command) == 0 {
		return nil, errors.New("no command to run")
	}
	if where == ControlPlane {
		return c.Command(ctx, command[0], command[1:]...), nil
	}
	n, err := c.node(where)
	if err != nil {
		return nil, err
	}
	return n.Command(ctx, command...)
}

// Kubectl runs kubectl as the cluster's administrator and returns its stdout,
// without the warnings that it may print beside. An error tells both.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := c.Command(ctx, filepath.Join(c.record.Plane, "kubectl"), args...)
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w\n%s%s", strings.Join(args, " "), errors.Join(err, context.Cause(ctx)), out, &stderr)
	}
	return string(out), err
}

// Command returns a command that runs a program of this machine where the
// cluster can be reached: in the control plane's network namespace, with
// KUBECONFIG set and kubectl of the cluster's version first in PATH.
func (c *Cluster) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := c.network.ControlPlane().Command(ctx, name, args...)
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+c.Kubeconfig(),
		"PATH="+c.record.Plane+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return cmd
}

// Service starts, stops or restarts a service of a node: containerd or kubelet.
// Containers go on without either.
func (c *Cluster) Service(ctx context.Context, where, service, action string) error {
	n, err := c.node(where)
	if err != nil {
		return err
	}
	return n.Service(ctx, service, action)
}

// run runs cmd, which errors call by what its user asked for.
func run(ctx context.Context, cmd *exec.Cmd, asked []string) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(asked, " "), errors.Join(err, context.Cause(ctx)), out)
	}
	return string(out), err
}
