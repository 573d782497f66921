package faults

import (
	"context"
	"errors"
	"strings"
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
		Root:  "service-traffic-policy-local",
		Shown: func(ctx context.Context, lab Lab) error { return deadFromOutside(ctx, lab, storefront) },
	})
}

// deadFromOutside is nil once a node port of the application answers on its own
// node alone.
func deadFromOutside(ctx context.Context, lab Lab, a app) error {
	out, err := read(ctx, lab, "{.spec.externalTrafficPolicy} {.spec.ports[0].nodePort}", a.service()...)
	if err != nil {
		return err
	}
	policy, port, _ := strings.Cut(out, " ")
	if policy != "Local" {
		return errors.New("the policy is not Local")
	}
	reach := func(node string) error {
		ip, err := read(ctx, lab, `{.status.addresses[?(@.type=="InternalIP")].address}`, "node", node)
		if err != nil {
			return err
		}
		return connect(ctx, lab, ControlPlane, ip, port)
	}
	switch err := reach(first(lab)); {
	case errors.Is(err, ErrNoShell):
		return nil // from inside nothing is to be seen
	case err != nil:
		return err
	case reach(last(lab)) == nil:
		return errStillWorks
	}
	return nil
}
