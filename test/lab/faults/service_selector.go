package faults

import "context"

// serviceSelector is a slip of the pen in an application's Service.
func serviceSelector() *Fault {
	checkout := app{"checkout", first}
	return checkout.broken(&Fault{
		ID: "service-selector", Title: "an application's Service has a slip in its selector",
		Break: func(ctx context.Context, lab Lab) error {
			return patch(ctx, lab, object{"spec": object{"selector": object{"app": "chekout"}}}, checkout.service()...)
		},
		Shown: func(ctx context.Context, lab Lab) error { return endpoints(ctx, lab, shop, checkout.name, false) },
		Again: nothing,
		Root:  "service-selector-mismatch", Fix: []string{"service-selector-mismatch"},
	})
}

// broken completes a fault of the application: its Break is told what to break,
// and it is mended by making the application as it was.
func (a app) broken(f *Fault) *Fault {
	change := f.Break
	f.Prepare = a.prepare
	f.Break = func(ctx context.Context, lab Lab) error { return all(ctx, lab, a.prepare, a.ready, change) }
	f.Mend = a.prepare
	return f
}
