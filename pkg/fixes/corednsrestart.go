package fixes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CoreDNSRestart makes CoreDNS's pods anew, so that they get a new token.
var CoreDNSRestart = &Fix{
	ID:    "coredns-restart",
	Title: "Restart CoreDNS, as kubectl rollout restart does",
	For:   []*checks.Check{coredns.APIUnreachable},
	Risk:  Restarts,
	Plan:  planCoreDNSRestart,
	Doc: `Writes the annotation kubectl.kubernetes.io/restartedAt into the pod template of CoreDNS's Deployment, which is what
kubectl rollout restart does: its pods are made anew one after another, each with a new token. It is offered where the API
server refuses the token of a pod, as after its ServiceAccount was deleted and made again; servers that run and still answer
from memory are made anew with it, before their token fails.

It does not cure the other reasons for which CoreDNS gets nothing from the API server (packets that are lost, a certificate, a
refused connection), and is refused there. Where the signing key or a clock is wrong, a new token is refused as well: then the
repair does not verify and is taken back, which is one more rollout.`,
}

func planCoreDNSRestart(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	pods := podsOf(s, f)
	if !slices.ContainsFunc(pods, func(p *facts.Pod) bool { return coredns.TokenRefused(s, p) }) {
		return Plan{}, errors.New("a restart does not cure it: CoreDNS asks again by itself as soon as the reason that the finding names is cured")
	}
	owners := ownersOf(pods)
	if len(owners) != 1 {
		return Plan{}, errors.New("the pod has no Deployment that would make it anew")
	}
	was, edited, err := templateOf(s, owners[0])
	if err != nil {
		return Plan{}, err
	}
	restart(s, &edited.Spec.Template)
	plan, err := rollout(was, edited)
	if err != nil {
		return Plan{}, err
	}
	plan.Warnings = []string{"A wrong clock of a node, or another key for signing tokens than the API server's: then the new token is refused as well."}
	return plan, nil
}

// CoreDNSSpread moves one replica of CoreDNS to another node.
var CoreDNSSpread = &Fix{
	ID:    "coredns-spread",
	Title: "Make one replica of CoreDNS anew, on another node",
	For:   []*checks.Check{coredns.NotSpread},
	Risk:  Restarts,
	Plan:  planCoreDNSSpread,
	Doc: `Deletes the youngest of the replicas that stand on one node; its Deployment makes another at once, which the scheduler
prefers to put where none is. The others serve meanwhile. A rollout restart, which documentations recommend, makes all pods anew
at the same time, and on a cluster with two nodes may put them together again.

No object is changed, so there is nothing to undo. It does not cure what ties the replicas to that node: an affinity, or a lack
of room elsewhere; then the new one comes to stand there again. It is refused while a rollout is under way.`,
}

func planCoreDNSSpread(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	d, err := dnsDeployment(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	if st := d.Status; st.ObservedGeneration < d.Generation || st.UpdatedReplicas != st.Replicas {
		return Plan{}, fmt.Errorf("a rollout is under way, which places the pods anew: kubectl -n %s rollout status deployment %s", checks.ShellWord(d.Namespace), checks.ShellWord(d.Name))
	}
	if a := d.Spec.Template.Spec.Affinity; d.Spec.Template.Spec.NodeName != "" || a != nil && (a.PodAffinity != nil || a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil) {
		return Plan{}, fmt.Errorf("an affinity of its template, or nodeName, may be what keeps the replicas together; see whether it is meant: %s", editCommand(f.Subject))
	}
	pods := slices.DeleteFunc(podsOf(s, f), func(p *facts.Pod) bool { return !p.Ready || p.Deleting })
	if len(pods) < 2 {
		return Plan{}, errors.New("one replica serves at this moment; it is not taken away")
	}
	youngest := slices.MaxFunc(pods, func(a, b *facts.Pod) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.Name, b.Name))
	})
	return Plan{Restarts: []*facts.Pod{youngest}, Rollouts: []facts.Ref{f.Subject}}, nil
}
