package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/faults"
)

// kubeconfigLab is a cluster of the user's choice, of which only the API is at
// hand.
type kubeconfigLab struct {
	kubeconfig string
	nodes      []string
}

// userCluster returns it, and takes away what the suite has made there with the
// end of the test.
func userCluster(t *testing.T) (testLab, error) {
	l := &kubeconfigLab{kubeconfig: os.Getenv(envKubeconfig)}
	out, err := l.Kubectl(t.Context(), "", "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		return nil, err
	}
	l.nodes = strings.Fields(out)
	t.Logf("on the cluster of %s, with nodes %q; what needs a shell on its nodes is left out", l.kubeconfig, l.nodes)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := l.Kubectl(ctx, "", "delete", "namespaces", "-l", faults.AppLabel); err != nil {
			t.Error("cleaning up:", err)
		}
	})
	return l, nil
}

func (l *kubeconfigLab) Nodes() []string { return l.nodes }

// Image may be named, for clusters that pull from a registry of their own.
func (l *kubeconfigLab) Image() string {
	if image := os.Getenv(envImage); image != "" {
		return image
	}
	return "docker.io/library/busybox:1.36"
}

// Outside may be named, for clusters without the internet.
func (l *kubeconfigLab) Outside() string {
	if name := os.Getenv(envOutside); name != "" {
		return name
	}
	return "example.com"
}

func (l *kubeconfigLab) Exec(context.Context, string, ...string) (string, error) {
	return "", faults.ErrNoShell
}

func (l *kubeconfigLab) Service(context.Context, string, string, string) error {
	return faults.ErrNoShell
}

func (l *kubeconfigLab) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+l.kubeconfig)
	return cmd
}

func (l *kubeconfigLab) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := l.Command(ctx, "kubectl", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, &stderr)
	}
	return stdout.String(), nil
}
