package faults

import (
	"context"
	"slices"
)

// corednsRBAC is an image that was updated without its ClusterRole.
func corednsRBAC() *Fault {
	const id = "coredns-rbac"
	return &Fault{
		ID: id, Title: "CoreDNS may not read EndpointSlices",
		Break: func(ctx context.Context, lab Lab) error {
			if err := keep(ctx, lab, id, dnsRole()); err != nil {
				return err
			}
			if err := disown(ctx, lab, dnsRole()); err != nil {
				return err
			}
			role, err := get(ctx, lab, dnsRole()...)
			if err != nil {
				return err
			}
			list, err := rules(role)
			if err != nil {
				return err
			}
			left := slices.DeleteFunc(list, func(r object) bool { return grants(r, "endpointslices") })
			if err := patch(ctx, lab, object{"rules": left}, dnsRole()...); err != nil {
				return err
			}
			return restartDNS(ctx, lab)
		},
		Shown: ofSystem(logged, dnsPods, `endpointslices.discovery.k8s.io is forbidden`),
		Mend:  mendDNS(id),
		Again: restartDNS,
		Root:  "coredns-rbac", Fix: []string{"coredns-rbac"},
	}
}
