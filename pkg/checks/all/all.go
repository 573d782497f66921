// Package all is the list of lists: every check that the doctor knows.
package all

import (
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/cni"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubelet"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/policy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/service"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/workload"
)

// Layer is a part of the network stack with its checks.
type Layer struct {
	Name, Title string
	Checks      []*checks.Check
}

// Layers lists the layers, causes before what they explain. Of two that explain the same
// pod, the nearer one stands first: kube-proxy, whose absence explains every pod, is last
// of the causes.
func Layers() []Layer {
	return []Layer{
		{"cni", "Network plugin", cni.Checks()},
		{"node", "Nodes", node.Checks()},
		{"traffic", "Traffic between pods", traffic.Checks()},
		{"kubelet", "kubelet", kubelet.Checks()},
		{"coredns", "CoreDNS and the DNS Service", coredns.Checks()},
		{"kube-proxy", "kube-proxy", kubeproxy.Checks()},
		{"policy", "NetworkPolicies", policy.Checks()},
		{"service", "Services", service.Checks()},
		{"symptom", "What users see", symptom.Checks()},
		{"workload", "Workloads", workload.Checks()},
	}
}

// Checks lists every check in the order of the layers.
func Checks() []*checks.Check {
	var out []*checks.Check
	for _, l := range Layers() {
		out = append(out, l.Checks...)
	}
	return out
}
