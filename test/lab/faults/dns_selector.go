package faults

import "context"

// dnsSelector is the Service of a manifest that labels its pods otherwise.
func dnsSelector() *Fault {
	const id = "dns-selector"
	return dnsServiceFault(id, "the DNS Service selects no pod of CoreDNS", "dns-service-selector", noDNSEndpoint,
		object{"spec": object{"selector": object{"k8s-app": "coredns"}}})
}

// dnsServiceFault is one that is made by a change of the DNS Service.
func dnsServiceFault(id, title, root string, shown func(context.Context, Lab) error, change object) *Fault {
	return &Fault{
		ID: id, Title: title,
		Break: func(ctx context.Context, lab Lab) error {
			if err := keep(ctx, lab, id, dnsService()); err != nil {
				return err
			}
			if err := disown(ctx, lab, dnsService()); err != nil {
				return err
			}
			return patch(ctx, lab, change, dnsService()...)
		},
		Shown: shown,
		Mend:  func(ctx context.Context, lab Lab) error { return restore(ctx, lab, id) },
		Again: nothing,
		Root:  root, Fix: []string{root},
	}
}

// nothing is done again where no component reads what was broken by itself.
func nothing(context.Context, Lab) error { return nil }
