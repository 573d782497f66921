package faults

import "context"

// forwardDrop is a firewall beside Kubernetes' own rules, as firewalld is. The
// policy of iptables' own chain alone does no harm here: flannel and kube-proxy
// accept the pods' traffic before it; but what another table drops is dropped,
// whoever accepted it.
func forwardDrop() *Fault {
	return &Fault{
		ID: "forward-drop", Title: "one node's policy for forwarded packets is DROP", Shell: true,
		Depth: "host", Deep: "node-forward-drop",
		Prepare: preparePair,
		Break: func(ctx context.Context, lab Lab) error {
			if err := preparePair(ctx, lab); err != nil {
				return err
			}
			_, err := sh(ctx, lab, last(lab), `iptables -P FORWARD DROP
nft add table ip hardening
nft add chain ip hardening forward '{ type filter hook forward priority 10; policy drop; }'`)
			return err
		},
		Shown: pairApart,
		Mend: func(ctx context.Context, lab Lab) error {
			_, err := sh(ctx, lab, last(lab), `iptables -P FORWARD ACCEPT
nft delete table ip hardening 2>/dev/null || true`)
			return err
		},
	}
}
