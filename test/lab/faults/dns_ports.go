package faults

import (
	"context"
	"fmt"
	"slices"
)

// dnsPorts leads port 53 to one where nothing listens.
func dnsPorts() *Fault {
	return dnsServiceFault("dns-ports", "the DNS Service leads port 53 to 5353, where CoreDNS does not listen", "dns-service-ports",
		func(ctx context.Context, lab Lab) error {
			_, ports, err := served(ctx, lab, system, "kube-dns")
			if err == nil && !slices.Contains(ports, 5353) {
				err = fmt.Errorf("the endpoints have ports %d", ports)
			}
			return err
		},
		object{"spec": object{"ports": []object{
			{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353},
			{"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 5353},
		}}})
}
