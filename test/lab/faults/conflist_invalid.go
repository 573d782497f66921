package faults

import "context"

// conflistInvalid is a write that was cut short. The runtime then has no
// network at all, since it has thrown the old configuration away.
func conflistInvalid() *Fault {
	return &Fault{
		ID: "conflist-invalid", Slow: true, Title: "the network plugin's configuration on one node is cut off", Shell: true,
		Break: cutConflist,
		Shown: func(ctx context.Context, lab Lab) error { return nodeNotReady(ctx, lab, last(lab)) },
		Mend:  func(ctx context.Context, lab Lab) error { return restartFlannel(ctx, lab, last(lab)) },
		Again: cutConflist,
		Root:  "node-network-not-ready", Depth: "host", Deep: "cni-conf-invalid", Fix: []string{"node-network-not-ready"},
	}
}

func cutConflist(ctx context.Context, lab Lab) error {
	_, err := sh(ctx, lab, last(lab), `head -c 60 "$1" > "$1.part"; mv "$1.part" "$1"`, conflist)
	return err
}
