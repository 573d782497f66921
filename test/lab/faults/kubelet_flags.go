package faults

import (
	"context"
	"errors"
)

// kubeletFlags is an upgrade that left flags of the old kubelet in place: the one that runs
// does not mind, and the next one will not start.
func kubeletFlags() *Fault {
	const file = "/etc/default/kubelet"
	return &Fault{
		ID: "kubelet-flags", Title: "a node's kubelet is configured with flags that it does not know", Shell: true,
		Depth: "host", Deep: "kubelet-cni-flags",
		Break: func(ctx context.Context, lab Lab) error {
			_, err := sh(ctx, lab, last(lab), `mkdir -p /etc/default; echo 'KUBELET_EXTRA_ARGS="--network-plugin=cni --cni-bin-dir=/opt/cni/bin"' > "$1"`, file)
			return err
		},
		Shown: func(ctx context.Context, lab Lab) error {
			if _, err := lab.Exec(ctx, last(lab), "grep", "-q", "network-plugin", file); err != nil {
				return errors.New("the file does not hold the flags")
			}
			return nil
		},
		Mend: func(ctx context.Context, lab Lab) error {
			_, err := lab.Exec(ctx, last(lab), "rm", "-f", file)
			return err
		},
	}
}
