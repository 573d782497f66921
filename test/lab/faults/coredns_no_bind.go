package faults

import "context"

// corednsNoBind takes the capability away that port 53 needs. Runtimes may open
// such ports to everybody by a sysctl of the pod, so that is set to what the
// kernel has by itself. CoreDNS runs as root here, as its images before 1.11 do,
// whose rights are those of the container alone: another user gets the capability
// from a mark on upstream's program, which that of the lab does not bear.
func corednsNoBind() *Fault {
	const id = "coredns-no-bind"
	return &Fault{
		ID: id, Title: "CoreDNS lacks NET_BIND_SERVICE",
		Break: func(ctx context.Context, lab Lab) error {
			return changeDNSPods(ctx, lab, id,
				object{"securityContext": object{"runAsUser": 0, "capabilities": object{"add": nil, "drop": []string{"ALL"}}}},
				object{"securityContext": object{"sysctls": []object{{"name": "net.ipv4.ip_unprivileged_port_start", "value": "1024"}}}})
		},
		Shown: crashesWith("bind: permission denied"),
		Mend:  mendDNSPods(id),
		Again: restartDNS,
		Root:  "coredns-port-bind", Fix: []string{"coredns-port-bind"},
	}
}
