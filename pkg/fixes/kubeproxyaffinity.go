package fixes

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// KubeProxyAffinity lets kube-proxy run on a node that its affinity leaves out by name.
var KubeProxyAffinity = &Fix{
	ID:    "kubeproxy-affinity",
	Title: "Take a node out of those on which kube-proxy must not run",
	For:   []*checks.Check{kubeproxy.Missing},
	Risk:  Restarts,
	Plan:  planKubeProxyAffinity,
	Doc: `Takes the name of a node, and nothing else, out of the rules NotIn by which the node affinity of kube-proxy's DaemonSet leaves it out
(` + "`kubernetes.io/hostname`" + `, or the field metadata.name). What is empty afterwards goes with it. The node gets a kube-proxy, the pods of the
others are replaced one after the other; the rules of a node stay meanwhile.

It is refused where a node is left out by anything else, a label, a nodeSelector, a taint: whether the label is wrong or the rule, only you know.
It is refused where no DaemonSet is there: kubeproxy-recreate makes it. kubeadm's DaemonSet has no affinity, and kubeadm upgrade takes it out
as a whole. "kubectl netdoctor undo" puts the name back.`,
}

func planKubeProxyAffinity(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	n := s.Node(f.Subject.Name)
	sets := kubeproxy.Proxies(s)
	if f.Subject.Kind != facts.Nodes.Kind || n == nil || len(sets) != 1 {
		return Plan{}, errors.New("not one DaemonSet of kube-proxy leaves out one node; where it is gone repeat with --with kubeproxy-recreate")
	}
	d := sets[0].Set
	why := facts.Excluded(&d.Spec.Template.Spec, n)
	switch {
	case why.Text == "":
		return Plan{}, fmt.Errorf("%s is meant for %s; its events tell what keeps its pod away", setRef(d), f.Subject)
	case why.Rule != facts.ByAffinity:
		return Plan{}, fmt.Errorf("%s %s (%s: %s; node: %s). %s", setRef(d), why.Text, why.Field, why.Quote, why.Node, why.Cure)
	}
	edited := d.DeepCopy()
	if admit(edited.Spec.Template.Spec.Affinity.NodeAffinity, n) {
		unbind(&edited.Spec.Template.Spec)
	}
	if facts.Excluded(&edited.Spec.Template.Spec, n).Text != "" {
		return Plan{}, fmt.Errorf("%s leaves the node out by more than its name (%s); which of it is wrong is not known", setRef(d), why.Quote)
	}
	var plan Plan
	return plan, plan.template(d, edited)
}

// admit takes a node's name out of what the affinity's terms must not have. all tells
// that of one of them nothing is left: since one term suffices, every node fulfils them
// then, while an empty term would admit none.
func admit(a *corev1.NodeAffinity, n *corev1.Node) (all bool) {
	terms := a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	for i := range terms {
		t := &terms[i]
		some := len(t.MatchExpressions)+len(t.MatchFields) > 0
		t.MatchExpressions = allowing(t.MatchExpressions, corev1.LabelHostname, n.Labels[corev1.LabelHostname])
		t.MatchFields = allowing(t.MatchFields, "metadata.name", n.Name)
		all = all || some && len(t.MatchExpressions)+len(t.MatchFields) == 0
	}
	return all
}

func allowing(list []corev1.NodeSelectorRequirement, key, name string) []corev1.NodeSelectorRequirement {
	for i := range list {
		if list[i].Key == key && list[i].Operator == corev1.NodeSelectorOpNotIn {
			list[i].Values = slices.DeleteFunc(list[i].Values, func(v string) bool { return v == name })
		}
	}
	return slices.DeleteFunc(list, func(e corev1.NodeSelectorRequirement) bool {
		return e.Operator == corev1.NodeSelectorOpNotIn && len(e.Values) == 0
	})
}

// unbind takes the required node affinity out, and what is empty without it.
func unbind(spec *corev1.PodSpec) {
	a := spec.Affinity
	a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = nil
	if len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		a.NodeAffinity = nil
	}
	if a.NodeAffinity == nil && a.PodAffinity == nil && a.PodAntiAffinity == nil {
		spec.Affinity = nil
	}
}
