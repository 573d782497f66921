package facts

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Repelling returns the taints of a node that keep the scheduler from placing a pod
// there: those that the pod does not tolerate, PreferNoSchedule aside.
func Repelling(n *corev1.Node, p *Pod) []corev1.Taint {
	var out []corev1.Taint
	for _, taint := range n.Spec.Taints {
		if taint.Effect == corev1.TaintEffectPreferNoSchedule {
			continue
		}
		if !slices.ContainsFunc(p.Tolerations, func(t corev1.Toleration) bool { return tolerates(t, taint) }) {
			out = append(out, taint)
		}
	}
	return out
}

// tolerates follows Toleration.ToleratesTaint of k8s.io/api, but takes an operator
// that it does not know for a match: what is not certain keeps nobody away.
func tolerates(t corev1.Toleration, taint corev1.Taint) bool {
	switch {
	case t.Effect != "" && t.Effect != taint.Effect, t.Key != "" && t.Key != taint.Key:
		return false
	case t.Operator == "" || t.Operator == corev1.TolerationOpEqual:
		return t.Value == taint.Value
	}
	return true
}
