package node

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Address finds nodes that the rest of the cluster cannot address.
var Address = &checks.Check{
	ID:       "node-address",
	Title:    "Every node has an address of its own in the cluster's network",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/node/node-status/#addresses",
	Needs:    []*facts.Source{facts.Nodes},
	ByHand: []string{"kubectl get nodes -o wide", "ip -br address; ip route # on the node",
		"cat /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet # on the node: --node-ip"},
	Run: findAddresses,
	Doc: `The API server reaches a kubelet (logs, exec, port-forward), and most network plugins reach the node, by the ` + "`InternalIP`" + ` in its
status. Where that is also the address of another node they reach the wrong machine. Where there is no address at all
they fail, and kube-proxy waits for one when it starts.

How it comes about: the kubelet takes the address that the node's name has in DNS or /etc/hosts, or else that of the interface with the
default route, unless ` + "`--node-ip`" + ` says otherwise. In virtual machines of Vagrant and VirtualBox the latter is 10.0.2.15 on all of
them. With an external cloud provider (` + "`--cloud-provider=external`" + `) the addresses come from the cloud controller manager; until it runs
there are none.

Nodes of which nothing is heard do not count: a machine that got another name has left one with its address behind.

Cure: give the kubelet ` + "`--node-ip`" + ` with the address by which the other nodes reach it, in KUBELET_EXTRA_ARGS
(/etc/default/kubelet or /etc/sysconfig/kubelet), and restart it. Then restart the network plugin's pod on the node. Where
addresses are missing, find out why the cloud controller manager does not run.`,
}

func findAddresses(s *facts.Snapshot) []checks.Finding {
	shared := map[netip.Addr][]*corev1.Node{}
	var counted []*corev1.Node
	for _, n := range s.Nodes {
		if facts.Virtual(n) || silent(n) || s.Taken.Sub(n.CreationTimestamp.Time) < settling {
			continue
		}
		counted = append(counted, n)
		for _, ip := range addressesOf(n, corev1.NodeInternalIP) {
			shared[ip] = append(shared[ip], n)
		}
	}
	var out []checks.Finding
	for _, n := range counted {
		if f := addressFinding(n, shared); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// addressFinding leaves out a node without any entry: a kubelet writes at least its name.
func addressFinding(n *corev1.Node, shared map[netip.Addr][]*corev1.Node) *checks.Finding {
	f := checks.Finding{Subject: facts.NodeRef(n.Name), Evidence: []checks.Evidence{quoteAddresses(n)}}
	if len(n.Status.Addresses) > 0 && len(addressesOf(n, corev1.NodeInternalIP, corev1.NodeExternalIP)) == 0 {
		f.Message = "has no IP address in its status: nothing knows where to reach it"
		f.Remedy = "Find out why the cloud controller manager, which writes the addresses, does not run or does not know the node; " +
			"without one, remove --cloud-provider=external from the kubelet's arguments, or give it --node-ip."
		return &f
	}
	for _, ip := range addressesOf(n, corev1.NodeInternalIP) {
		if len(shared[ip]) < 2 {
			continue
		}
		f.Message = "has the InternalIP of another node"
		f.Remedy = "Give the kubelets --node-ip with the address by which the other nodes reach theirs, and restart them, then the network plugin's pods."
		for _, o := range shared[ip][:min(len(shared[ip]), maxQuoted)] {
			if o != n {
				f.Evidence = append(f.Evidence, quoteAddresses(o))
			}
		}
		return &f
	}
	return nil
}

func quoteAddresses(n *corev1.Node) checks.Evidence {
	var texts []string
	for _, a := range n.Status.Addresses {
		texts = append(texts, string(a.Type)+" "+a.Address)
	}
	return checks.Quote("Node "+n.Name+", status.addresses", strings.Join(texts, ", "))
}
