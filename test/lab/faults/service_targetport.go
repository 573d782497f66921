package faults

import (
	"context"
	"fmt"
)

// serviceTargetPort names a port that no container has.
func serviceTargetPort() *Fault {
	basket := app{"basket", first}
	return basket.broken(&Fault{
		ID: "service-targetport", Title: "an application's Service names a targetPort that its pods do not have",
		Break: func(ctx context.Context, lab Lab) error {
			port := object{"name": "http", "port": 80, "targetPort": "web"}
			return patch(ctx, lab, object{"spec": object{"ports": []object{port}}}, basket.service()...)
		},
		Shown: func(ctx context.Context, lab Lab) error {
			ready, ports, err := served(ctx, lab, shop, basket.name)
			if err == nil && (len(ready) == 0 || len(ports) > 0) {
				err = fmt.Errorf("the endpoints are %q with ports %d", ready, ports)
			}
			return err
		},
		Again: nothing,
		Root:  "service-targetport-mismatch", Fix: []string{"service-targetport-mismatch"},
	})
}
