package faults

import (
	"context"
	"errors"
)

// trafficPolicyLocal drops what comes from outside to a node that has no
// endpoint of its own. Pods and nodes are let through, so it is seen from
// outside alone.
func trafficPolicyLocal() *Fault {
	storefront := app{"storefront", first}
	return storefront.broken(&Fault{
		ID: "traffic-policy-local", Title: "a Service with externalTrafficPolicy Local has no endpoint on one node",
		Break: func(ctx context.Context, lab Lab) error {
			change := object{"type": "NodePort", "externalTrafficPolicy": "Local"}
			return patch(ctx, lab, object{"spec": change}, storefront.service()...)
		},
		Shown: func(ctx context.Context, lab Lab) error {
			port, err := read(ctx, lab, "{.spec.ports[0].nodePort}", storefront.service()...)
			if err != nil {
				return err
			}
			reach := func(node string) error {
				ip, err := read(ctx, lab, `{.status.addresses[?(@.type=="InternalIP")].address}`, "node", node)
				if err != nil {
					return err
				}
				return connect(ctx, lab, ControlPlane, ip, port)
			}
			if err := reach(first(lab)); err != nil {
				if errors.Is(err, ErrNoShell) {
					return nil // what it shows cannot be seen from inside
				}
				return err
			}
			if reach(last(lab)) == nil {
				return errStillWorks
			}
			return nil
		},
	})
}
