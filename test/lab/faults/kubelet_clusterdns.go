package faults

import "context"

// kubeletClusterDNS is a slip in the configuration of one node.
func kubeletClusterDNS() *Fault {
	const wrong = "10.3.0.10"
	return &Fault{
		ID: "kubelet-clusterdns", Title: "one kubelet gives pods the wrong DNS server", Shell: true,
		Break: func(ctx context.Context, lab Lab) error {
			return configureKubelet(ctx, lab, last(lab), "clusterDNS", []string{wrong})
		},
		Shown: func(ctx context.Context, lab Lab) error {
			return configz(ctx, lab, last(lab), `"clusterDNS":["`+wrong+`"]`)
		},
		Mend: func(ctx context.Context, lab Lab) error { return mendKubelet(ctx, lab, last(lab)) },
		Root: "kubelet-clusterdns-mismatch",
	}
}
