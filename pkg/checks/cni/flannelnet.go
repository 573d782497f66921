package cni

import (
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// PodCIDRMismatch finds nodes whose pod range lies outside what flannel is configured for.
var PodCIDRMismatch = &checks.Check{
	ID:       "podcidr-cni-mismatch",
	Title:    "The pod ranges of the nodes lie within the plugin's network",
	Severity: checks.Error,
	URL:      "https://github.com/flannel-io/flannel/blob/master/Documentation/kubernetes.md",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets, facts.ConfigMaps},
	When:     noFlannelNet,
	Explains: []*checks.Check{AgentUnhealthy, SubnetEnvMissing, node.NetworkNotReady, coredns.Pending, symptom.PodNotReady},
	ByHand: []string{"kubectl -n kube-flannel get configmap kube-flannel-cfg -o jsonpath='{.data.net-conf\\.json}'",
		"kubectl get nodes -o custom-columns=NODE:.metadata.name,CIDR:.spec.podCIDRs",
		"kubectl -n kube-system get pod -l component=kube-controller-manager -o yaml | grep cluster-cidr",
		"kubectl -n kube-flannel logs daemonset/kube-flannel-ds"},
	Run: findOutside,
	Doc: `Flannel reads its network from ` + "`net-conf.json`" + ` of its ConfigMap, 10.244.0.0/16 as its makers write it, and the range of each node from
` + "`spec.podCIDR`" + `, which the controller manager gives out of ` + "`--cluster-cidr`" + ` (` + "`--pod-network-cidr`" + ` of kubeadm). The second must lie within the
first. Where it does not, flannel exits when it starts: ` + "`subnet … specified in the flannel net config doesn't contain … PodCIDR of the … node`" + `.
It looks only then, so a change that is wrong shows at the next restart of the node.

How it comes about: the cluster was made with another range, and flannel's manifest was applied as it is; or the ConfigMap was
changed later, or applied again with a new version of flannel.

Cure: write the range of the cluster as Network into net-conf.json (IPv6Network for the other family) and restart flannel:
` + "`kubectl -n kube-flannel rollout restart daemonset kube-flannel-ds`" + `. Flannel that Helm installed has it from the value ` + "`podCidr`" + `.`,
}

// noFlannelNet says why there is nothing to compare with, or "".
func noFlannelNet(s *facts.Snapshot) string {
	if len(plugins.Flannels(s)) == 0 {
		return "Flannel does not run here, or not as pods"
	}
	if len(flannelNets(s)) == 0 {
		return "no net-conf.json of Flannel was seen"
	}
	return ""
}

func findOutside(s *facts.Snapshot) []checks.Finding {
	troubled := troubledNodes(s)
	var out []checks.Finding
	for _, net := range flannelNets(s) {
		inside := 0
		var outside []checks.Finding
		for _, n := range s.LinuxNodes() {
			ranges := facts.PodRanges(n)
			if p := outsideOf(net, ranges); p.IsValid() {
				outside = append(outside, net.finding(n, p, troubled[n.Name]))
			} else if len(ranges) > 0 {
				inside++
			}
		}
		if len(outside) > 0 && inside == 0 {
			outside = []checks.Finding{net.whole(outside)}
		}
		out = append(out, outside...)
	}
	return out
}

// troubledNodes returns the nodes on which flannel's agent is not Ready, or only between
// two crashes.
func troubledNodes(s *facts.Snapshot) map[string]bool {
	out := map[string]bool{}
	for _, d := range plugins.Flannels(s) {
		for _, p := range d.Pods {
			out[p.Node] = out[p.Node] || !p.Ready || p.Unsettled(s.Taken, 5*time.Minute)
		}
	}
	return out
}

// outsideOf returns the first range of a node that flannel leaves out.
func outsideOf(net flannelNet, ranges []netip.Prefix) netip.Prefix {
	for _, p := range ranges {
		if net.leavesOut(p) {
			return p
		}
	}
	return netip.Prefix{}
}

// finding tells of one node, where others have ranges within the network.
func (net flannelNet) finding(n *corev1.Node, p netip.Prefix, troubled bool) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(n.Name),
		Message: "has a pod range outside flannel's network: flannel exits there when it starts",
		Remedy: fmt.Sprintf("Make the network in net-conf.json of %s wide enough for the range of every node and restart flannel, or delete "+
			"the Node object, after the node is drained, and restart its kubelet, so that it is given a range within.", net.ref()),
		Evidence: []checks.Evidence{checks.Quote("Node "+n.Name, facts.QuotePodRanges(n)), net.quote(p)},
	}
	if !troubled {
		f.Severity = checks.Warning
	}
	return f
}

// whole tells of the ConfigMap, where no node has a range within the network.
func (net flannelNet) whole(nodes []checks.Finding) checks.Finding {
	f := checks.Finding{
		Subject: net.ref(),
		Message: "gives flannel a network in which no node's pod range lies: flannel exits when it starts",
		Remedy: "Write the cluster's pod range (--cluster-cidr of the controller manager) as network into net-conf.json, " +
			"and restart flannel's DaemonSet.",
		Severity: checks.Warning,
		Evidence: nodes[0].Evidence[1:],
	}
	for _, of := range nodes {
		if of.Severity == 0 {
			f.Severity = checks.Error
		}
		f.Places = append(f.Places, of.Subject)
		if len(f.Evidence) <= shown {
			f.Evidence = append(f.Evidence, of.Evidence[0])
		}
	}
	return f
}

func (net flannelNet) quote(p netip.Prefix) checks.Evidence {
	key, of := "IPv6Network", net.v6
	if p.Addr().Is4() {
		key, of = "Network", net.v4
	}
	return checks.Quote(net.ref().String()+", net-conf.json", key+": "+of.String())
}
