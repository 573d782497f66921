package faults

import "context"

// corednsOOM gives CoreDNS less memory than its own heap needs. With a little
// more it would not be killed: the kernel takes the pages of its program away
// again and again, and it stands still.
func corednsOOM() *Fault {
	const id = "coredns-oom"
	return &Fault{
		ID: id, Title: "CoreDNS is killed for want of memory",
		Break: func(ctx context.Context, lab Lab) error {
			return changeDNSPods(ctx, lab, id,
				object{"resources": object{"limits": object{"memory": "5Mi"}, "requests": object{"memory": "5Mi"}}}, nil)
		},
		Shown: ofSystem(podsSay, dnsPods, `"reason":"OOMKilled"`),
		Mend:  mendDNSPods(id),
		Again: restartDNS,
		Root:  "coredns-oom", Fix: []string{"coredns-oom"},
	}
}
