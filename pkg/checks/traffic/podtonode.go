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

// PodToNode finds pods that do not reach API servers, or no other machine at all.
var PodToNode = &checks.Check{
	ID:       "pod-to-node",
	Title:    "Pods reach other machines, and the API servers on them",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/#the-kubernetes-network-model",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Pods, facts.NetworkPolicies},
	Parts:    tries.Parts(untried("it tried no API server at its own address", facts.TargetAPIServer)),
	Explains: []*checks.Check{UpstreamDead, coredns.APIUnreachable, coredns.NotSynced, coredns.UpstreamFailing, coredns.PodOutside, symptom.DNSProbeExternal},
	ByHand: []string{"kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes",
		"kubectl run a --rm -it --restart=Never --image=busybox:1.36 --overrides='{\"spec\":{\"nodeName\":\"NODE\"}}' -- nc -zvw3 ADDRESS 10250 # of a node"},
	Run: unless(findPodToNode),
	Doc: `A pod on each of some nodes tried to connect to each API server at its own address, and to the kubelet of each of these nodes. A refused connection
counts as an answer from a kubelet: the way is open.
**No machine answers**, API servers neither at their own addresses nor at that of their Service: the node does not forward what its pods send out of it, or does
not masquerade it: net.ipv4.ip_forward, a rule or policy
that drops, a missing rule for masquerading. Nothing outside the pods' own network works there then, Services and names included. **No API server
answers**, while kubelets do: a firewall before the control plane knows the nodes and not the pods' addresses, or the addresses in the
endpoints of Service default/kubernetes are wrong (**kubernetes-service-broken**). Where the Service leads pods to an API server all the same, nothing that goes by it
is cut off, and that is only told as information. Kubelets that do not answer, while API servers do, are **pod-to-kubelet**.
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
				"addresses (iptables -t nat -S POSTROUTING)." + tries.Rulers(s),
		})
	}
	for _, node := range without {
		out = append(out, withoutServers(s, node))
	}
	return append(out, silentServers(s, append(cut, without...))...)
}

// withoutServers tells of a node whose pods reach no API server at its own address.
func withoutServers(s *facts.Snapshot, node string) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(node), Message: "runs pods that reach no API server at its own address",
		Evidence: append(tries.Quotes(deadFrom(s, node, facts.TargetAPIServer), shown), reached(s, node)...),
		Places:   []facts.Ref{coredns.APIService()},
		Remedy: "See that these are the API servers' addresses (kubectl get endpointslices -n default), and that the firewall before them lets in what comes from pods, " +
			"from their own addresses or from those of their nodes." + tries.Rulers(s),
	}
	through := slices.DeleteFunc(tries.From(s, node, facts.TargetAPIService), facts.Try.Dead)
	if len(through) > 0 {
		f.Severity, f.Alone, f.Places = checks.Info, true, nil
		f.Message += ", while the API server's Service leads them to one"
		f.Evidence = append(f.Evidence, tries.Quotes(through, 1)...)
		f.Remedy = "Nothing is to be done, unless pods go by these addresses (kubectl get endpointslices -n default) and not by the Service: then let them in there." + tries.Rulers(s)
	}
	return f
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
