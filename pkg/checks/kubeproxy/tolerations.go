package kubeproxy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Tolerations finds a DaemonSet of kube-proxy that taints keep off nodes.
var Tolerations = &checks.Check{
	ID:       "kube-proxy-tolerations",
	Title:    "kube-proxy tolerates every taint",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
	Needs:    []*facts.Source{facts.SystemDaemonSets, facts.SystemPods, facts.Nodes},
	When:     noDaemonSet,
	Explains: []*checks.Check{Missing},
	ByHand: []string{"kubectl -n kube-system get daemonset kube-proxy -o jsonpath='{.spec.template.spec.tolerations}'",
		"kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"},
	Run: findTolerations,
	Doc: `Whatever a node is set apart for, its pods need Services. So kubeadm, EKS and others give the DaemonSet of kube-proxy a
toleration for everything (` + "`operator: Exists`" + ` without key). Without it, a node that gets a taint is left out:
NoExecute ends its kube-proxy at once, NoSchedule keeps the next one away, after an update of the DaemonSet or when the
node is made anew. The rules of before stay until the node is started again, and nobody keeps them up to date.

It is an error where a node has a taint that is not tolerated and no kube-proxy, a warning where it has the taint and its
kube-proxy runs on from before, and told as information where no node has such a taint yet. Taints that pass with the node's
life (of the autoscaler, of Karpenter, of the cloud provider's start and end of a machine) do not count while kube-proxy runs there.

**How it comes about**: the DaemonSet was edited or written anew without tolerations, or with a list of those taints that there
were then. kubeadm upgrade puts its own back.

**Cure**: the toleration ` + "`operator: Exists`" + ` in the DaemonSet. Its pods are replaced one after the other; the rules stay
meanwhile.`,
}

func findTolerations(s *facts.Snapshot) []checks.Finding {
	covered := map[string]bool{}
	for _, p := range s.KubeProxyPods() {
		covered[p.Node] = true
	}
	owned := map[facts.Ref]bool{}
	for _, p := range proxies(s) {
		owned[setRef(p.set)] = len(p.pods) > 0
	}
	var out []checks.Finding
	for _, p := range templates(s) {
		if toleratesAll(p.spec.Tolerations) || s.Missing(facts.SystemPods) != "" || s.Missing(facts.Nodes) != "" {
			continue
		}
		if f, found := p.repelled(covered); found {
			out = append(out, f)
		} else if owned[setRef(p.set)] {
			out = append(out, p.intolerant())
		}
	}
	return out
}

// toleratesAll tells whether there is a toleration for every taint that keeps pods away.
func toleratesAll(list []corev1.Toleration) bool {
	for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
		if !slices.ContainsFunc(list, func(t corev1.Toleration) bool {
			return t.Key == "" && t.Operator == corev1.TolerationOpExists && (t.Effect == "" || t.Effect == effect)
		}) {
			return false
		}
	}
	return true
}

// passingTaints are those that say that a node comes or goes.
var passingTaints = []string{"ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler", "karpenter.sh/", "node.cloudprovider.kubernetes.io/",
	"node.kubernetes.io/out-of-service", "node.cilium.io/", "ignore-taint.cluster-autoscaler.kubernetes.io/", "startup-taint.cluster-autoscaler.kubernetes.io/"}

// repelled reports the nodes that taints set apart from the DaemonSet: those without
// kube-proxy, or where there is none, those on which it runs on.
func (p *proxy) repelled(covered map[string]bool) (checks.Finding, bool) {
	var gone, still []facts.Ref
	var lost, kept []checks.Evidence
	for _, n := range p.s.LinuxNodes() {
		why := facts.Excluded(p.spec, n)
		if why.Rule != facts.ByTaint || silent(n) || p.s.Taken.Sub(n.CreationTimestamp.Time) < 3*grace {
			continue
		}
		quote := checks.Quote(facts.NodeRef(n.Name).String(), why.Node)
		passing := slices.ContainsFunc(passingTaints, func(key string) bool { return strings.HasPrefix(why.Node, "taint "+key) })
		switch {
		case !covered[n.Name]:
			gone, lost = append(gone, facts.NodeRef(n.Name)), append(lost, quote)
		case !passing:
			still, kept = append(still, facts.NodeRef(n.Name)), append(kept, quote)
		}
	}
	switch {
	case len(gone) > 0:
		f := p.needsToleration("is kept off nodes by taints that it does not tolerate: they run no kube-proxy", lost)
		f.Places = gone
		return f, true
	case len(still) > 0:
		f := p.needsToleration("does not tolerate a taint of nodes on which kube-proxy still runs: once it ends there, it does not come back", kept)
		f.Severity, f.Places = checks.Warning, still
		return f, true
	}
	return checks.Finding{}, false
}

// intolerant reports what is to come.
func (p *proxy) intolerant() checks.Finding {
	f := p.needsToleration("does not tolerate every taint: a node that gets another one loses kube-proxy", nil)
	f.Severity = checks.Info
	return f
}

func (p *proxy) needsToleration(message string, evidence []checks.Evidence) checks.Finding {
	return checks.Finding{
		Subject: setRef(p.set), Message: message,
		Evidence: append([]checks.Evidence{checks.Quote(setRef(p.set).String()+", tolerations", toleratedBy(p.spec.Tolerations))}, evidence[:min(len(evidence), 3)]...),
		Remedy: checks.Command(`Give its pods the toleration operator: Exists, without key and effect: kubectl -n %s patch daemonset %s --type merge `+
			`-p '{"spec":{"template":{"spec":{"tolerations":[{"operator":"Exists"}]}}}}'.`, p.set.Namespace, p.set.Name),
	}
}

func toleratedBy(list []corev1.Toleration) string {
	var out []string
	for _, t := range list {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", t.Key, t.Operator, t.Value, t.Effect)), " "))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, "; ")
}
