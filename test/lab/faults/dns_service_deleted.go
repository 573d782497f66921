package faults

import "context"

// dnsServiceDeleted leaves servers that nobody reaches.
func dnsServiceDeleted() *Fault {
	const id = "dns-service-deleted"
	return &Fault{
		ID: id, Title: "the DNS Service was deleted",
		Break: func(ctx context.Context, lab Lab) error {
			if err := keep(ctx, lab, id, dnsService()); err != nil {
				return err
			}
			return do(ctx, lab, append([]string{"delete"}, dnsService()...)...)
		},
		Shown: noDNSEndpoint,
		Mend:  func(ctx context.Context, lab Lab) error { return restore(ctx, lab, id) },
		Again: nothing,
		Root:  "dns-service-missing", Fix: []string{"dns-service-missing"},
	}
}
