package coredns

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// SingleReplica finds CoreDNS of which there is one where there could be two.
var SingleReplica = &checks.Check{
	ID:       "coredns-single-replica",
	Title:    "CoreDNS runs more than once where there are nodes for it",
	Severity: checks.Info, // nothing is wrong until the node fails
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-horizontal-autoscaling/",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemDeployments, facts.Nodes},
	When:     embeddedDNS,
	ByHand:   []string{"kubectl -n kube-system get deployments -l k8s-app=kube-dns", "kubectl get nodes"},
	Run:      findSingleReplica,
	Doc: `With one replica of CoreDNS, names resolve nowhere in the cluster while its node is down, drained or cut off, or while the pod is
made anew: seconds when it is drained, five minutes or more when the node dies, which is how long Kubernetes waits before it makes the
pod elsewhere. One replica is also all the capacity there is, and one that is restarted for want of memory is a gap for everybody.

It comes about in clusters that began with one node, by a ` + "`kubectl scale`" + ` during maintenance, or by an autoscaler whose
table starts at 1. It is told once a second node that would take the pod has been there for a day. k3s, which comes with one replica
and can be installed with one node, is left out.

Cure: ` + "`kubectl -n kube-system scale deployment coredns --replicas=2`" + `; kubeadm keeps the number. Where an autoscaler sets it (in its
ConfigMap, ` + "`preventSinglePointFailure: true`" + ` or ` + "`min: 2`" + `), or a chart or an add-on, set it there.`,
}

// lasting is how long a node must have been there to count as one that stays.
const lasting = 24 * time.Hour

// embeddedDNS says why one replica is what a distribution means, or "".
func embeddedDNS(s *facts.Snapshot) string {
	for _, n := range s.Nodes {
		if v := n.Status.NodeInfo.KubeletVersion; strings.Contains(v, "+k3s") {
			return fmt.Sprintf("k3s comes with one replica of CoreDNS (Node %s, kubelet %s)", n.Name, v)
		}
	}
	return ""
}

func findSingleReplica(s *facts.Snapshot) []checks.Finding {
	fleet := newFleet(s)
	var out []checks.Finding
	for _, v := range fleet.servers {
		p, d := v.pod, fleet.deployments[owner(v.pod)]
		if d == nil || replicas(d.Spec.Replicas) != 1 || p.Deleting || !serves(p) || len(fleet.byOwner(owner(p))) != 1 {
			continue
		}
		spare := spareNodes(s, p)
		if len(spare) == 0 {
			continue
		}
		out = told(out, checks.Finding{
			Subject: owner(p), Message: "has one replica: while its node is down, no name resolves in the cluster",
			Evidence: []checks.Evidence{checks.Quote(owner(p).String(), "spec.replicas: 1; its pod is on node "+p.Node),
				checks.Quote("Nodes that would take another", some(spare))},
			Remedy: checks.Command("kubectl -n %s scale deployment %s --replicas=2, or at the autoscaler, chart or add-on that sets the number.", d.Namespace, d.Name),
			Places: []facts.Ref{p.Ref()},
		})
	}
	return out
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// byOwner returns the pods of one owner that are not on their way out.
func (f *fleet) byOwner(of facts.Ref) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range f.pods {
		if owner(p) == of && !p.Deleting {
			out = append(out, p)
		}
	}
	return out
}

// spareNodes returns other nodes that would take the pod and have long been there.
func spareNodes(s *facts.Snapshot, p *facts.Pod) []string {
	var out []string
	for _, n := range s.LinuxNodes() {
		made := n.CreationTimestamp.Time
		if n.Name != p.Node && takes(n, p) && !made.IsZero() && s.Taken.Sub(made) >= lasting {
			out = append(out, n.Name)
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}

// Takers counts the nodes that are Ready and would take a pod of this kind.
func Takers(s *facts.Snapshot, spec *corev1.PodSpec) int {
	p := &facts.Pod{Template: &facts.Template{Tolerations: spec.Tolerations, NodeSelector: spec.NodeSelector}}
	n := 0
	for _, node := range s.LinuxNodes() {
		if takes(node, p) {
			n++
		}
	}
	return n
}

// takes tells whether a node that is Ready would take a pod.
func takes(n *corev1.Node, p *facts.Pod) bool {
	c := facts.NodeReady(n)
	return c != nil && c.Status == corev1.ConditionTrue && !n.Spec.Unschedulable && len(facts.Repelling(n, p)) == 0 && facts.Matches(p.NodeSelector, n.Labels)
}

// some names the first few of many.
func some(names []string) string {
	const most = 3
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
