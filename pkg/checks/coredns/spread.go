package coredns

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NotSpread finds CoreDNS whose replicas all run on one node.
var NotSpread = &checks.Check{
	ID:       "coredns-not-spread",
	Title:    "The replicas of CoreDNS run on different nodes",
	Severity: checks.Info, // nothing is wrong until the node fails, and kubeadm leaves most clusters so
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/adding-linux-nodes/",
	Needs:    []*facts.Source{facts.SystemPods, facts.Nodes},
	ByHand:   []string{"kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide"},
	Run:      findNotSpread,
	Doc: `Several replicas of CoreDNS on one node fail together with it, or with its network, and then no name resolves in the
cluster until they are made elsewhere, minutes later.

It is what usually comes of kubeadm: when the first node is made there is no other, and the rule that keeps the replicas apart
is only a preference that nobody looks at again. kubeadm's documentation therefore tells to spread them once a second node has
joined.

Cure: ` + "`kubectl -n kube-system rollout restart deployment coredns`" + `: the scheduler then prefers different nodes.`,
}

func findNotSpread(s *facts.Snapshot) []checks.Finding {
	ready := map[facts.Ref][]*facts.Pod{}
	for _, v := range newFleet(s).servers {
		p := v.pod
		if p.Ready && !p.Deleting && p.Node != "" && p.Owner.Kind == "Deployment" && !slices.Contains(ready[p.Owner], p) {
			ready[p.Owner] = append(ready[p.Owner], p)
		}
	}
	var out []checks.Finding
	for _, of := range slices.SortedFunc(maps.Keys(ready), facts.Ref.Compare) {
		pods := ready[of]
		together := !slices.ContainsFunc(pods, func(p *facts.Pod) bool { return p.Node != pods[0].Node })
		if len(pods) < 2 || !together || !roomElsewhere(s, pods[0]) {
			continue
		}
		f := checks.Finding{
			Subject: of, Message: "has all its replicas on one node: if that fails, no name resolves in the cluster",
			Evidence: []checks.Evidence{checks.Quote("Pods of "+of.String(), fmt.Sprintf("%d Ready, all on node %s", len(pods), pods[0].Node))},
			Remedy:   checks.Command("kubectl -n %s rollout restart deployment %s: the scheduler then prefers different nodes.", of.Namespace, of.Name),
		}
		for _, p := range pods {
			f.Places = append(f.Places, p.Ref())
		}
		out = append(out, f)
	}
	return out
}

// roomElsewhere tells whether another node would take the pod.
func roomElsewhere(s *facts.Snapshot, p *facts.Pod) bool {
	return slices.ContainsFunc(s.LinuxNodes(), func(n *corev1.Node) bool {
		return n.Name != p.Node && takes(n, p)
	})
}
