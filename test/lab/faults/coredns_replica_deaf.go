package faults

import (
	"context"
	"fmt"
	"strings"
)

// corednsReplicaDeaf is a firewall rule in the network of one CoreDNS pod of two. Its
// probes ask on other ports, so that it stays Ready, and every other question is lost.
func corednsReplicaDeaf() *Fault {
	const id = "coredns-replica-deaf"
	return &Fault{
		ID: id, Title: "one replica of CoreDNS is Ready and takes no questions", Shell: true,
		Break: func(ctx context.Context, lab Lab) error {
			if err := keepDNS(ctx, lab, id); err != nil {
				return err
			}
			if err := do(ctx, lab, "-n", system, "scale", "deployment", "coredns", "--replicas=2"); err != nil {
				return err
			}
			if err := do(ctx, lab, "-n", system, "rollout", "status", "deployment", "coredns", "--timeout="+stepTimeout.String()); err != nil {
				return err
			}
			node, ip, err := firstDNSPod(ctx, lab)
			if err != nil {
				return err
			}
			_, err = sh(ctx, lab, node, `for ns in $(ls /run/netns); do
	ip netns exec "$ns" ip -o addr | grep -qF " $1/" || continue
	for p in tcp udp; do ip netns exec "$ns" iptables -A INPUT -p "$p" --dport 53 -j DROP; done
done`, ip)
			return err
		},
		Shown: func(ctx context.Context, lab Lab) error {
			node, ip, err := firstDNSPod(ctx, lab)
			if err != nil {
				return err
			}
			if connect(ctx, lab, node, ip, "53") == nil {
				return errStillWorks
			}
			return nil
		},
		Mend: mendDNS(id), // with the pod its network goes
		Root: "coredns-pod-answers",
	}
}

// firstDNSPod returns the node and the address of the pod of CoreDNS that comes first by
// its name.
func firstDNSPod(ctx context.Context, lab Lab) (node, ip string, err error) {
	out, err := read(ctx, lab, "{.items[0].spec.nodeName} {.items[0].status.podIP}", "-n", system, "pods", "-l", dnsPods, "--sort-by=.metadata.name")
	if err != nil {
		return "", "", err
	}
	node, ip, found := strings.Cut(out, " ")
	if !found || node == "" || ip == "" {
		return "", "", fmt.Errorf("no pod of CoreDNS runs: %q", out)
	}
	return node, ip, nil
}
