package kubeproxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// exclusion says why a DaemonSet places no pod on a node.
type exclusion struct {
	text         string // continues "DaemonSet x"; empty where it does place one
	field, quote string // of the DaemonSet
	node         string // what the node shows
	remedy       string
}

// excluded asks what the DaemonSet controller asks (k8s.io/kubernetes,
// pkg/controller/daemon, predicates): nodeSelector, required affinity, taints.
func excluded(spec *corev1.PodSpec, n *corev1.Node) exclusion {
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		want := spec.NodeSelector[key]
		if got, found := n.Labels[key]; !found || got != want {
			return exclusion{
				text:   fmt.Sprintf("wants the label %s=%s, which the node lacks", key, want),
				field:  "nodeSelector",
				quote:  key + ": " + want,
				node:   labelled(key, got, found),
				remedy: fmt.Sprintf("Take %s out of the DaemonSet's nodeSelector, or give the node the label %s=%s.", key, key, want),
			}
		}
	}
	if terms := required(spec); terms != nil && !slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool { return admits(&t, n) }) {
		return exclusion{
			text:   "leaves the node out by its node affinity",
			field:  "required node affinity",
			quote:  describe(terms),
			node:   "labels " + labels.Set(n.Labels).String(),
			remedy: "Let the DaemonSet's node affinity take the node in, or label the node as the affinity wants it.",
		}
	}
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerated(spec, &t) {
			return exclusion{
				text:   fmt.Sprintf("does not tolerate the taint %s of the node", t.ToString()),
				field:  "tolerations",
				quote:  tolerations(spec.Tolerations),
				node:   "taint " + t.ToString(),
				remedy: "Give the DaemonSet's pods the toleration operator: Exists, without a key, as kubeadm does.",
			}
		}
	}
	return exclusion{}
}

func labelled(key, value string, found bool) string {
	if !found {
		return "has no label " + key
	}
	return fmt.Sprintf("label %s=%s", key, value)
}

func required(spec *corev1.PodSpec) []corev1.NodeSelectorTerm {
	a := spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

// admits tells whether one term takes the node in; an empty term takes in none.
func admits(t *corev1.NodeSelectorTerm, n *corev1.Node) bool {
	if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
		return false
	}
	for _, e := range t.MatchExpressions {
		if !meets(e, labels.Set(n.Labels)) {
			return false
		}
	}
	for _, e := range t.MatchFields {
		if !meets(e, labels.Set{"metadata.name": n.Name}) {
			return false
		}
	}
	return true
}

func meets(e corev1.NodeSelectorRequirement, have labels.Set) bool {
	op := selection.Operator(strings.ToLower(string(e.Operator)))
	if e.Operator == corev1.NodeSelectorOpDoesNotExist {
		op = selection.DoesNotExist
	}
	r, err := labels.NewRequirement(e.Key, op, e.Values)
	return err != nil || r.Matches(have) // what is not understood excludes nothing
}

func describe(terms []corev1.NodeSelectorTerm) string {
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

// tolerated tells whether the pods of a DaemonSet bear a taint. Its controller adds
// tolerations for what the node controller reports.
func tolerated(spec *corev1.PodSpec, taint *corev1.Taint) bool {
	switch taint.Key {
	case corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeDiskPressure, corev1.TaintNodeMemoryPressure,
		corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable:
		return true
	case corev1.TaintNodeNetworkUnavailable:
		return spec.HostNetwork
	}
	return slices.ContainsFunc(spec.Tolerations, func(t corev1.Toleration) bool {
		if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
			return false
		}
		return t.Operator == corev1.TolerationOpExists || t.Key != "" && t.Value == taint.Value
	})
}

func tolerations(list []corev1.Toleration) string {
	if len(list) == 0 {
		return "none"
	}
	var out []string
	for _, t := range list {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", t.Key, t.Operator, t.Value, t.Effect)))
	}
	return strings.Join(out, "; ")
}
