package faults

import "context"

// conflistLeftover is what Calico leaves on a node when it is taken away. The
// runtime uses the file that sorts first, and 10-calico comes before
// 10-flannel.
func conflistLeftover() *Fault {
	const path = netDir + "/10-calico.conflist"
	orders := app{"orders", last}
	return &Fault{
		ID: "conflist-leftover", Title: "another plugin's leftover configuration sorts first on one node", Shell: true,
		Prepare: orders.prepare,
		Break: func(ctx context.Context, lab Lab) error {
			if err := all(ctx, lab, orders.prepare, orders.ready, orders.pause); err != nil {
				return err
			}
			if _, err := sh(ctx, lab, last(lab), `printf %s "$2" > "$1"`, path, calicoConflist); err != nil {
				return err
			}
			return orders.resume(ctx, lab)
		},
		Shown: orders.stuck(`failed to find plugin "calico"`),
		Mend: func(ctx context.Context, lab Lab) error {
			if _, err := lab.Exec(ctx, last(lab), "rm", "-f", path, path+".netdoctor-aside"); err != nil {
				return err
			}
			return orders.recreate(ctx, lab)
		},
		Again: func(ctx context.Context, lab Lab) error {
			away := func(ctx context.Context, lab Lab) error {
				_, err := lab.Exec(ctx, last(lab), "mv", path, path+".away") // without it the pod can go
				return err
			}
			back := func(ctx context.Context, lab Lab) error {
				_, err := lab.Exec(ctx, last(lab), "mv", path+".away", path)
				return err
			}
			return all(ctx, lab, away, orders.pause, back, orders.resume)
		},
		Root: "cni-conf-residue", Fix: []string{"cni-conf-residue", allowNodes},
	}
}

const calicoConflist = `{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "calico", "datastore_type": "kubernetes", "nodename": "node", "mtu": 0,
     "ipam": {"type": "calico-ipam"}, "policy": {"type": "k8s"},
     "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"}},
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}
  ]
}
`
