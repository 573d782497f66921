package faults

import "context"

// corednsNoBind takes the capability away that a user other than root needs for
// port 53. Runtimes may open such ports to everybody by a sysctl of the pod, so
// that is set to what the kernel has by itself.
func corednsNoBind() *Fault {
	const id = "coredns-no-bind"
	return &Fault{
		ID: id, Title: "CoreDNS lacks NET_BIND_SERVICE",
		Break: func(ctx context.Context, lab Lab) error {
			return changeDNSPods(ctx, lab, id,
				object{"securityContext": object{"capabilities": object{"add": nil, "drop": []string{"ALL"}}}},
				object{"securityContext": object{"sysctls": []object{{"name": "net.ipv4.ip_unprivileged_port_start", "value": "1024"}}}})
		},
		Shown: crashesWith("bind: permission denied"),
		Mend:  mendDNSPods(id),
		Root:  "coredns-port-bind",
	}
}
