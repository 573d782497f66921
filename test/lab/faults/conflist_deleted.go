package faults

import "context"

// conflistDeleted is what an overeager clean-up leaves: the plugin's agent runs
// on and does not notice.
func conflistDeleted() *Fault {
	return &Fault{
		ID: "conflist-deleted", Slow: true, Title: "the network plugin's configuration was deleted on one node", Shell: true,
		Break: func(ctx context.Context, lab Lab) error { return dropConflist(ctx, lab, last(lab)) },
		Shown: func(ctx context.Context, lab Lab) error { return nodeNotReady(ctx, lab, last(lab)) },
		Mend:  func(ctx context.Context, lab Lab) error { return restartFlannel(ctx, lab, last(lab)) },
		Again: func(ctx context.Context, lab Lab) error { return dropConflist(ctx, lab, last(lab)) },
		Root:  "node-network-not-ready", Fix: []string{"node-network-not-ready"},
	}
}
