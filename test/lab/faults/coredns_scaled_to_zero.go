package faults

import "context"

// corednsScaledToZero is a maintenance that somebody forgot to end.
func corednsScaledToZero() *Fault {
	const id = "coredns-scaled-to-zero"
	return &Fault{
		ID: id, Title: "the Deployment of CoreDNS is scaled to zero",
		Break: func(ctx context.Context, lab Lab) error {
			if err := keepDNS(ctx, lab, id); err != nil {
				return err
			}
			if err := do(ctx, lab, "-n", system, "scale", "deployment", "coredns", "--replicas=0"); err != nil {
				return err
			}
			return restartDNS(ctx, lab) // only sooner: none comes back
		},
		Shown: noDNSEndpoint,
		Mend:  mendDNSPods(id),
		Again: restartDNS,
		Root:  "dns-deployment-missing", Fix: []string{"dns-deployment-missing"},
	}
}
