package faults

import "context"

// pluginBinaryMissing is an update of the node that emptied /opt/cni/bin: the
// node stays Ready, pods that run go on, and no new one starts.
func pluginBinaryMissing() *Fault {
	const path = "/opt/cni/bin/flannel"
	invoices := app{"invoices", last}
	return &Fault{
		ID: "plugin-binary-missing", Title: "the network plugin's program is missing on one node", Shell: true,
		Prepare: invoices.prepare,
		Break: func(ctx context.Context, lab Lab) error {
			if err := all(ctx, lab, invoices.prepare, invoices.ready, invoices.pause); err != nil {
				return err
			}
			if err := setAside(ctx, lab, last(lab), path); err != nil {
				return err
			}
			return invoices.resume(ctx, lab)
		},
		Shown: invoices.stuck(`failed to find plugin "flannel"`),
		Mend: func(ctx context.Context, lab Lab) error {
			if err := putBack(ctx, lab, last(lab), path); err != nil {
				return err
			}
			return invoices.recreate(ctx, lab)
		},
		Again: func(ctx context.Context, lab Lab) error {
			if err := invoices.pause(ctx, lab); err != nil {
				return err
			}
			if _, err := lab.Exec(ctx, last(lab), "rm", "-f", path); err != nil {
				return err
			}
			return invoices.resume(ctx, lab)
		},
		Root: "cni-binary-missing", Fix: []string{"cni-binary-missing"},
	}
}
