package faults

import "context"

// podsNeverReady is a readiness probe that asks on a port where nothing
// listens.
func podsNeverReady() *Fault {
	stock := app{"stock", first}
	return stock.broken(&Fault{
		ID: "pods-never-ready", Title: "an application's pods never become Ready",
		Break: func(ctx context.Context, lab Lab) error {
			probe := object{"httpGet": object{"path": "/", "port": 9999}}
			container := object{"name": stock.name, "readinessProbe": probe}
			change := object{"spec": object{"template": object{"spec": object{"containers": []object{container}}}}}
			return patchAs(ctx, lab, "strategic", change, "-n", shop, "deployment", stock.name)
		},
		Shown: stock.stuck("Readiness probe failed"),
		Root:  "service-pods-not-ready",
	})
}
