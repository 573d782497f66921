package faults

import (
	"context"
	"strings"
)

// subnetEnvMissing is a node that was started again after somebody had broken
// flannel's configuration: /run is empty, and flannel does not come up to write
// its file.
func subnetEnvMissing() *Fault {
	const id = "subnet-env-missing"
	parcels := app{"parcels", last}
	return &Fault{
		ID: id, Title: "flannel is down on one node, and /run/flannel/subnet.env is gone", Shell: true,
		Prepare: parcels.prepare,
		Break: func(ctx context.Context, lab Lab) error {
			if err := all(ctx, lab, parcels.prepare, parcels.ready, parcels.pause); err != nil {
				return err
			}
			if err := keep(ctx, lab, id, flannelConfig()); err != nil {
				return err
			}
			config, err := read(ctx, lab, `{.data.net-conf\.json}`, flannelConfig()...)
			if err != nil {
				return err
			}
			broken := object{"net-conf.json": strings.Replace(config, `"Network": "`, `"Network": `, 1)}
			if err := patch(ctx, lab, object{"data": broken}, flannelConfig()...); err != nil {
				return err
			}
			if err := restartFlannel(ctx, lab, last(lab)); err != nil {
				return err
			}
			if _, err = lab.Exec(ctx, last(lab), "rm", "-f", "/run/flannel/subnet.env"); err != nil {
				return err
			}
			return parcels.resume(ctx, lab)
		},
		Shown: parcels.stuck(`/run/flannel/subnet.env: no such file`),
		Mend: func(ctx context.Context, lab Lab) error {
			if err := restore(ctx, lab, id); err != nil {
				return err
			}
			if err := restartFlannel(ctx, lab, last(lab)); err != nil {
				return err
			}
			return parcels.recreate(ctx, lab)
		},
		Root: "cni-agent-unhealthy",
	}
}
