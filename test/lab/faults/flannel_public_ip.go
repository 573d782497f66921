package faults

import (
	"context"
	"fmt"
)

// flannelPublicIP is what happens to virtual machines that all have the same
// address on their first interface.
func flannelPublicIP() *Fault {
	const id, annotation = "flannel-public-ip", "flannel.alpha.coreos.com/public-ip"
	const path = `{.metadata.annotations.flannel\.alpha\.coreos\.com/public-ip}`
	return &Fault{
		ID: id, Title: "two nodes have the same flannel public-ip",
		Prepare: preparePair,
		Break: func(ctx context.Context, lab Lab) error {
			if err := preparePair(ctx, lab); err != nil {
				return err
			}
			own, err := read(ctx, lab, path, "node", last(lab))
			if err != nil {
				return err
			}
			other, err := read(ctx, lab, path, "node", first(lab))
			if err != nil {
				return err
			}
			if own == other || other == "" {
				return fmt.Errorf("the nodes have the public-ip %q and %q", own, other)
			}
			if err := store(ctx, lab, id, map[string]string{"public-ip": own}); err != nil {
				return err
			}
			return do(ctx, lab, "annotate", "--overwrite", "node", last(lab), annotation+"="+other)
		},
		Again: func(ctx context.Context, lab Lab) error {
			other, err := read(ctx, lab, path, "node", first(lab))
			if err != nil {
				return err
			}
			return do(ctx, lab, "annotate", "--overwrite", "node", last(lab), annotation+"="+other)
		},
		Shown: pairApart,
		Root:  "flannel-public-ip", Fix: []string{"flannel-public-ip"},
		Mend: func(ctx context.Context, lab Lab) error {
			data, err := keptData(ctx, lab, id)
			if data == nil || err != nil {
				return err
			}
			if err := do(ctx, lab, "annotate", "--overwrite", "node", last(lab), annotation+"="+data["public-ip"]); err != nil {
				return err
			}
			return forget(ctx, lab, id)
		},
	}
}
