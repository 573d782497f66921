package traffic

import (
	"maps"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// PodToNode finds pods that do not reach API servers and kubelets.
var PodToNode = &checks.Check{
	ID:       "pod-to-node",
	Title:    "Pods reach the API servers and the kubelets of the nodes",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/#the-kubernetes-network-model",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Nodes, facts.Pods, facts.NetworkPolicies},
	Parts:    tries.Parts(untried("it tried neither API servers nor kubelets", facts.TargetAPIServer, facts.TargetNode)),
	Explains: []*checks.Check{UpstreamDead, coredns.APIUnreachable, coredns.NotSynced, coredns.UpstreamFailing, coredns.PodOutside, symptom.DNSProbeExternal},
	ByHand: []string{"kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes",
		"kubectl run a --rm -it --restart=Never --image=busybox:1.36 --overrides='{\"spec\":{\"nodeName\":\"NODE\"}}' -- nc -zvw3 ADDRESS 10250 # of a node"},
	Run: unless(findPodToNode),
	Doc: `A pod on each of some nodes tried to connect to each API server at its own address, and to the kubelet of each of these nodes. A refused connection
counts as an answer from a kubelet: the way is open.

**No machine answers**: the node does not forward what its pods send out of it, or does not masquerade it: net.ipv4.ip_forward, a rule or policy
that drops, a missing rule for masquerading. Nothing outside the pods' own network works there then, Services and names included. **No API server
answers**, while kubelets do: a firewall before the control plane knows the nodes and not the pods' addresses, or the addresses in the
endpoints of Service default/kubernetes are wrong (**kubernetes-service-broken**). **Some kubelets do not answer**: a firewall on those nodes. metrics-server,
and with it ` + "`kubectl top`" + ` and autoscaling, and Prometheus ask kubelets; other pods need them not, and where none answers to any pod that may be meant, so
it is only told as information.

**Cure**: that of the place. ` + "`kubectl netdoctor check --depth host`" + ` looks at forwarding and rules of the nodes.`,
}

func findPodToNode(s *facts.Snapshot) []checks.Finding {
	var cut, without []string
	for _, node := range tries.Nodes(s) {
		servers := tries.From(s, node, facts.TargetAPIServer)
		switch {
		case tries.Mute(s, node):
			cut = append(cut, node)
		case len(servers) > 0 && !slices.ContainsFunc(servers, func(t facts.Try) bool { return !t.Dead() }):
			without = append(without, node)
		}
	}
	var out []checks.Finding
	for _, node := range cut {
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(node), Message: "runs pods that reach no other machine: neither nodes nor API servers",
			Evidence: tries.Quotes(deadFrom(s, node, facts.TargetAPIServer, facts.TargetNode), shown),
			Remedy: "Look on the node at net.ipv4.ip_forward, at rules that drop what is forwarded (iptables -S FORWARD; nft list ruleset) and at what masquerades pods' " +
				"addresses (iptables -t nat -S POSTROUTING). " + deeper(node) + tries.Rulers(s),
		})
	}
	for _, node := range without {
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(node), Message: "runs pods that reach no API server at its own address",
			Evidence: append(tries.Quotes(deadFrom(s, node, facts.TargetAPIServer), shown), reached(s, node)...),
			Places:   []facts.Ref{coredns.APIService()},
			Remedy: "See that these are the API servers' addresses (kubectl get endpointslices -n default), and that the firewall before them lets in what comes from pods, " +
				"from their own addresses or from those of their nodes." + tries.Rulers(s),
		})
	}
	none := append(cut, without...)
	return slices.Concat(out, silentServers(s, none), kubelets(s, none))
}

// silentServers tells of addresses of API servers at which no pod gets an answer, while others
// answer.
func silentServers(s *facts.Snapshot, but []string) []checks.Finding {
	asked, answers := map[string][]facts.Try{}, map[string]bool{}
	for _, t := range tries.Of(s, func(t facts.Try) bool { return t.Target == facts.TargetAPIServer && !slices.Contains(but, t.Node) }) {
		asked[t.To] = append(asked[t.To], t)
		answers[t.To] = answers[t.To] || !t.Dead()
	}
	var out []checks.Finding
	for _, to := range slices.Sorted(maps.Keys(asked)) {
		if !answers[to] {
			out = append(out, checks.Finding{
				Subject: coredns.APIService(), Severity: checks.Warning,
				Message:  "has an endpoint at which no pod gets an answer, " + to + ": a part of the connections to the API server fails",
				Evidence: tries.Quotes(asked[to], shown),
				Remedy:   "See whether an API server runs there and a firewall lets pods in; an endpoint of a machine that is gone goes by itself when the other API servers notice." + tries.Rulers(s),
			})
		}
	}
	return out
}

// deadFrom returns what the pod of a node tried in vain.
func deadFrom(s *facts.Snapshot, node string, targets ...facts.TryTarget) []facts.Try {
	return slices.DeleteFunc(tries.From(s, node, targets...), func(t facts.Try) bool { return !t.Dead() })
}

// reached quotes a kubelet that the pod of a node reached.
func reached(s *facts.Snapshot, node string) []checks.Evidence {
	return tries.Quotes(slices.DeleteFunc(tries.From(s, node, facts.TargetNode), func(t facts.Try) bool { return !tries.Reached(t) }), 1)
}

// kubelets tells which of them do not answer, where the pods of a node reach other machines.
func kubelets(s *facts.Snapshot, but []string) []checks.Finding {
	m, of := tries.Map{}, map[tries.Pair]facts.Try{}
	known := tries.Nodes(s)
	for _, t := range tries.Of(s, func(t facts.Try) bool { return t.Target == facts.TargetNode && slices.Contains(known, t.ToNode) }) {
		if p := (tries.Pair{From: t.Node, To: t.ToNode}); !slices.Contains(but, t.Node) {
			m[p], of[p] = !tries.Reached(t), t
		}
	}
	local := m.Local()
	var out []checks.Finding
	for _, f := range m.Locate(func(string) bool { return false }, zones(s)) {
		finding := checks.Finding{Subject: facts.Cluster(), Severity: checks.Warning, Message: kubeletWords(f), Remedy: "Let TCP port 10250 of the nodes through from pods, " +
			"if metrics-server, Prometheus or others are to ask the kubelets." + tries.Rulers(s)}
		if f.Node != "" {
			finding.Subject = facts.NodeRef(f.Node)
		}
		if f.Place == tries.Everywhere {
			finding.Severity = checks.Info // it may be meant
		}
		for _, p := range spread(f.Pairs)[:min(len(f.Pairs), shown)] {
			finding.Evidence = append(finding.Evidence, tries.Quote(of[p]))
		}
		out = append(out, finding)
		local = slices.DeleteFunc(local, func(node string) bool { return f.Place == tries.Everywhere || f.Place != tries.Out && node == f.Node })
	}
	for _, node := range local {
		out = append(out, checks.Finding{
			Subject: facts.NodeRef(node), Severity: checks.Warning, Message: "runs pods that do not reach the kubelet of their own node",
			Evidence: []checks.Evidence{tries.Quote(of[tries.Pair{From: node, To: node}])},
			Remedy:   "Let TCP port 10250 through from the node's own pods (iptables -S INPUT; nft list ruleset), if metrics-server, Prometheus or others are to ask the kubelet." + tries.Rulers(s),
		})
	}
	return out
}

func kubeletWords(f tries.Fault) string {
	switch f.Place {
	case tries.Everywhere:
		return "lets no pod reach the kubelet of another node"
	case tries.Around:
		return "runs pods that reach the kubelet of no other node, and a kubelet that no pod on other nodes reaches"
	case tries.Out:
		return "runs pods that reach the kubelet of no other node"
	case tries.In:
		return "runs a kubelet that no pod on other nodes reaches"
	case tries.Zones:
		return "lets no pod reach a kubelet in another zone"
	}
	return "does not let pods reach the kubelets of some other nodes: " + list(f.Pairs)
}
