package faults

import (
	"context"
	"errors"
)

// ipForwardOff is a hardening script that ran after the network plugin, which
// sets it each time it makes a pod.
func ipForwardOff() *Fault {
	set := func(value string) func(context.Context, Lab) error {
		return func(ctx context.Context, lab Lab) error {
			_, err := sh(ctx, lab, last(lab), `echo "$1" > /proc/sys/net/ipv4/ip_forward`, value)
			return err
		}
	}
	return &Fault{
		ID: "ip-forward-off", Title: "one node does not forward packets", Shell: true,
		Depth: "host", Deep: "node-ip-forward",
		Prepare: preparePair,
		Break:   func(ctx context.Context, lab Lab) error { return all(ctx, lab, preparePair, set("0")) },
		Shown:   pairApart,
		Mend: func(ctx context.Context, lab Lab) error {
			_, err := sh(ctx, lab, last(lab), "rm -f /etc/sysctl.d/*netdoctor*")
			return errors.Join(err, set("1")(ctx, lab))
		},
		Again: set("0"),
		Fix:   []string{"node-ip-forward", allowNodes},
	}
}
