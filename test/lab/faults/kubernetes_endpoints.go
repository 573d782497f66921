package faults

import (
	"context"
	"strings"
)

// kubernetesEndpoints gives the API server's Service a second endpoint that is
// dead, as a control-plane machine does that was taken away. The API server
// keeps its own slice in order and does not look at others.
func kubernetesEndpoints() *Fault {
	return &Fault{
		ID: "kubernetes-endpoints", Title: "the kubernetes Service has an endpoint that is no API server",
		Prepare: client().prepare,
		Break: func(ctx context.Context, lab Lab) error {
			if err := all(ctx, lab, client().prepare, client().ready); err != nil {
				return err
			}
			_, err := lab.Kubectl(ctx, formerSlice, "apply", "-f", "-")
			return err
		},
		Again: nothing,
		Root:  "kubernetes-service-broken", Fix: []string{"kubernetes-service-broken"},
		Shown: func(ctx context.Context, lab Lab) error {
			ip, err := read(ctx, lab, "{.spec.clusterIP}", "-n", "default", "service", "kubernetes")
			if err != nil {
				return err
			}
			err = client().fetch(ctx, lab, "https://"+ip+"/healthz")
			if err == nil || strings.Contains(err.Error(), "403") {
				return errStillWorks // it was the other one's turn
			}
			return nil
		},
		Mend: func(ctx context.Context, lab Lab) error {
			return do(ctx, lab, "-n", "default", "delete", "--ignore-not-found", "endpointslice", "kubernetes-former")
		},
	}
}

const formerSlice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kubernetes-former
  namespace: default
  labels: {kubernetes.io/service-name: kubernetes}
addressType: IPv4
ports: [{name: https, port: 6443, protocol: TCP}]
endpoints:
- addresses: [` + deadAddress + `]
  conditions: {ready: true}
`
