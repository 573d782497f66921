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

// KubeProxyTolerations lets kube-proxy run on every node, whatever that is set apart for.
var KubeProxyTolerations = &Fix{
	ID:    "kubeproxy-tolerations",
	Title: "Let kube-proxy tolerate every taint",
	For:   []*checks.Check{kubeproxy.Tolerations},
	Risk:  Restarts,
	Plan:  planKubeProxyTolerations,
	Doc: `Adds the toleration ` + "`operator: Exists`" + `, without key and effect, to the DaemonSet of kube-proxy: kubeadm, EKS and others have it. Those
that are there stay. The nodes that taints kept it off get a pod, the pods of the others are replaced one after the other; the rules of a node
stay meanwhile.

It does not touch the taints, and does not help where a nodeSelector or an affinity leaves a node out. It is refused where a DaemonSet tolerates
everything already. kubeadm upgrade writes the same toleration. "kubectl netdoctor undo" takes it out again: pods on nodes with a taint
NoExecute then end.`,
}

func planKubeProxyTolerations(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	sets := slices.DeleteFunc(kubeproxy.Proxies(s), func(p kubeproxy.Proxy) bool { return p.Ref() != f.Subject })
	if len(sets) != 1 {
		return Plan{}, errors.New("the finding is about no DaemonSet of kube-proxy")
	}
	d := sets[0].Set
	if len(d.OwnerReferences) > 0 {
		return Plan{}, fmt.Errorf("%s belongs to %s %s, which writes its tolerations; set them there", setRef(d), d.OwnerReferences[0].Kind, d.OwnerReferences[0].Name)
	}
	edited := d.DeepCopy()
	list := &edited.Spec.Template.Spec.Tolerations
	*list = append(*list, corev1.Toleration{Operator: corev1.TolerationOpExists})
	var plan Plan
	return plan, plan.template(d, edited)
}
