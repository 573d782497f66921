package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/test/lab/internal/wait"
)

// managedWithin is how long the part of containerd that serves the kubelet may take to take
// note of an image that it did not pull.
const managedWithin = 30 * time.Second

// unmanaged selects the images that it has not taken note of. An import over an existing name
// takes the label away, so that this tells of the new image, not of the old one.
const unmanaged = `labels."io.cri-containerd.image"!=managed`

// Import gives the images of an archive of this machine, in either form that containerd reads,
// to the node. Once it returns the kubelet finds them.
func (n Node) Import(ctx context.Context, file string) error {
	archive, err := os.Open(file)
	if err != nil {
		return err
	}
	defer archive.Close()
	cmd, err := n.Command(ctx, "ctr", "-n", "k8s.io", "images", "import", "-")
	if err != nil {
		return err
	}
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: importing %s: %w\n%s", n.Name, file, errors.Join(err, context.Cause(ctx)), out)
	}
	return wait.For(ctx, managedWithin, func() error {
		names, err := n.unmanagedImages(ctx)
		if err == nil && names != "" {
			err = fmt.Errorf("%s: the kubelet does not see %s", n.Name, names)
		}
		return err
	})
}

func (n Node) unmanagedImages(ctx context.Context) (string, error) {
	cmd, err := n.Command(ctx, "ctr", "-n", "k8s.io", "images", "ls", "-q", unmanaged)
	if err != nil {
		return "", err
	}
	out, err := cmd.Output() // ctr warns on stderr
	return strings.Join(strings.Fields(string(out)), ", "), err
}
