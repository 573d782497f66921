package faults

import "context"

// vxlanBlocked is a firewall between the machines that lets everything through
// but the tunnel: every node and pod is Ready, and half of the traffic is dead.
func vxlanBlocked() *Fault {
	return &Fault{
		ID: "vxlan-blocked", Title: "VXLAN's port is blocked between the nodes", Shell: true,
		Depth: "probe", Deep: "overlay-port-blocked",
		Prepare: preparePair,
		Break: func(ctx context.Context, lab Lab) error {
			if err := preparePair(ctx, lab); err != nil {
				return err
			}
			return each(ctx, lab, firewall(`iptables -C INPUT $1 2>/dev/null || iptables -I INPUT $1`))
		},
		Shown: pairApart,
		Mend: func(ctx context.Context, lab Lab) error {
			return each(ctx, lab, firewall(`iptables -C INPUT $1 2>/dev/null || exit 0; iptables -D INPUT $1`))
		},
	}
}

// firewall runs a script on a node with a rule that drops flannel's VXLAN as
// its words.
func firewall(script string) func(context.Context, Lab, string) error {
	return func(ctx context.Context, lab Lab, node string) error {
		_, err := sh(ctx, lab, node, script, "-p udp --dport 8472 -j DROP")
		return err
	}
}
