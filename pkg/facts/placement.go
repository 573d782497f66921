package facts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Exclusion says why a DaemonSet places no pod on a node.
type Exclusion struct {
	Rule  ExclusionRule
	Text  string // continues "DaemonSet x"; empty where it does place one
	Field string // of the DaemonSet
	Quote string // what stands there
	Node  string // what the node shows
	Cure  string // a sentence
}

// ExclusionRule is what keeps the pod away.
type ExclusionRule int

// The rules, in the order in which they are looked at; 0 is none.
const (
	BySelector ExclusionRule = iota + 1
	ByAffinity
	ByTaint
)

// Excluded asks what the DaemonSet controller asks (k8s.io/kubernetes,
// pkg/controller/daemon): nodeSelector, required affinity, taints.
func Excluded(spec *corev1.PodSpec, n *corev1.Node) Exclusion {
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		want := spec.NodeSelector[key]
		if got, found := n.Labels[key]; !found || got != want {
			return Exclusion{
				Rule: BySelector, Text: fmt.Sprintf("wants the label %s=%s, which the node lacks", key, want),
				Field: "nodeSelector", Quote: key + ": " + want, Node: labelled(key, got, found),
				Cure: fmt.Sprintf("Take %s out of the DaemonSet's nodeSelector, or give the node the label %s=%s.", key, key, want),
			}
		}
	}
	if terms := requiredTerms(spec); terms != nil && !slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool { return admits(&t, n) }) {
		return Exclusion{
			Rule: ByAffinity, Text: "leaves the node out by its node affinity",
			Field: "required node affinity", Quote: describeTerms(terms), Node: "labels " + labels.Set(n.Labels).String(),
			Cure: "Let the DaemonSet's node affinity take the node in, or label the node as the affinity wants it.",
		}
	}
	for _, t := range Repelling(n, &Pod{Template: &Template{Tolerations: spec.Tolerations}}) {
		if !toleratedAnyway(t.Key, spec.HostNetwork) {
			return Exclusion{
				Rule: ByTaint, Text: fmt.Sprintf("does not tolerate the taint %s of the node", t.ToString()),
				Field: "tolerations", Quote: describeTolerations(spec.Tolerations), Node: "taint " + t.ToString(),
				Cure: "Give the DaemonSet's pods the toleration operator: Exists, without key and effect.",
			}
		}
	}
	return Exclusion{}
}

func labelled(key, value string, found bool) string {
	if !found {
		return "has no label " + key
	}
	return fmt.Sprintf("label %s=%s", key, value)
}

// toleratedAnyway tells whether the DaemonSet controller adds a toleration for a taint by
// itself.
func toleratedAnyway(key string, hostNetwork bool) bool {
	switch key {
	case corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeDiskPressure, corev1.TaintNodeMemoryPressure,
		corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable:
		return true
	}
	return key == corev1.TaintNodeNetworkUnavailable && hostNetwork
}

func requiredTerms(spec *corev1.PodSpec) []corev1.NodeSelectorTerm {
	a := spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

// admits tells whether one term takes the node in; an empty term takes in none.
func admits(t *corev1.NodeSelectorTerm, n *corev1.Node) bool {
	fields := labels.Set{"metadata.name": n.Name}
	return len(t.MatchExpressions)+len(t.MatchFields) > 0 &&
		!slices.ContainsFunc(t.MatchExpressions, func(e corev1.NodeSelectorRequirement) bool { return !meets(e, n.Labels) }) &&
		!slices.ContainsFunc(t.MatchFields, func(e corev1.NodeSelectorRequirement) bool { return !meets(e, fields) })
}

func meets(e corev1.NodeSelectorRequirement, have labels.Set) bool {
	op := selection.Operator(strings.ToLower(string(e.Operator)))
	if e.Operator == corev1.NodeSelectorOpDoesNotExist {
		op = selection.DoesNotExist
	}
	r, err := labels.NewRequirement(e.Key, op, e.Values)
	return err != nil || r.Matches(have) // what is not understood excludes nothing
}

func describeTerms(terms []corev1.NodeSelectorTerm) string {
	var out []string
	for _, t := range terms {
		var all []string
		for _, e := range slices.Concat(t.MatchExpressions, t.MatchFields) {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Key, e.Operator, strings.Join(e.Values, ","))))
		}
		out = append(out, strings.Join(all, " and "))
	}
	return strings.Join(out, " or ")
}

func describeTolerations(list []corev1.Toleration) string {
	var out []string
	for _, t := range list {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", t.Key, t.Operator, t.Value, t.Effect)), " "))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, "; ")
}
