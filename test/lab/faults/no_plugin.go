package faults

import "context"

// noPlugin takes the network plugin away as if it had never been installed.
// CoreDNS is scaled down meanwhile: its sandboxes could not be taken down
// without the plugin, and on a new cluster it starts later than the nodes do.
func noPlugin() *Fault {
	const id = "no-plugin"
	return &Fault{
		ID: id, Slow: true, Title: "no network plugin is installed", Shell: true,
		Break: func(ctx context.Context, lab Lab) error {
			if err := keep(ctx, lab, id, dnsDeployment(), flannelSet(), flannelConfig()); err != nil {
				return err
			}
			for _, step := range [][]string{
				{"-n", system, "scale", "deployment", "coredns", "--replicas=0"},
				{"-n", system, "delete", "pods", "-l", dnsPods, "--now"},
				append([]string{"delete", "--ignore-not-found"}, flannelSet()...),
				append([]string{"delete", "--ignore-not-found"}, flannelConfig()...),
			} {
				if err := do(ctx, lab, step...); err != nil {
					return err
				}
			}
			if err := each(ctx, lab, dropConflist); err != nil {
				return err
			}
			if err := until(ctx, func() error { return nodesWithoutNetwork(ctx, lab) }); err != nil {
				return err
			}
			return do(ctx, lab, "-n", system, "scale", "deployment", "coredns", "--replicas=1")
		},
		Shown: ofSystem(podsSay, dnsPods, `"reason":"Unschedulable"`),
		Mend:  func(ctx context.Context, lab Lab) error { return restore(ctx, lab, id) },
		Root:  "cni-not-installed",
	}
}

func dropConflist(ctx context.Context, lab Lab, node string) error {
	_, err := lab.Exec(ctx, node, "rm", "-f", conflist)
	return err
}
