package faults

import (
	"context"
	"errors"
	"strings"
)

// mtuTooLarge is a node whose pods are made with the MTU of its own network, without room
// for the tunnel: small packets come through, large ones are lost.
func mtuTooLarge() *Fault {
	const file = "/run/flannel/subnet.env"
	set := func(script string) func(context.Context, Lab) error {
		return func(ctx context.Context, lab Lab) error {
			_, err := sh(ctx, lab, last(lab), script, file)
			return err
		}
	}
	return &Fault{
		ID: "mtu-too-large", Title: "one node makes pods with an MTU that leaves no room for the tunnel", Shell: true,
		Depth: "probe", Deep: "mtu-mismatch",
		Break: set(`[ -e "$1.right" ] || cp "$1" "$1.right"; sed -i 's/^FLANNEL_MTU=.*/FLANNEL_MTU=1500/' "$1"; ip link set cni0 mtu 1500 2>/dev/null || true`),
		Shown: func(ctx context.Context, lab Lab) error {
			out, err := lab.Exec(ctx, last(lab), "cat", file)
			if err != nil {
				return err
			}
			if !strings.Contains(out, "FLANNEL_MTU=1500") {
				return errors.New("flannel's file has the right MTU")
			}
			return nil
		},
		Mend: set(`[ ! -e "$1.right" ] || mv "$1.right" "$1"; ip link set cni0 mtu "$(sed -n 's/^FLANNEL_MTU=//p' "$1")" 2>/dev/null || true`),
	}
}
