package cni

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// newNode is how old a node must be before it is missed that it has no agent.
const newNode = 3 * time.Minute

// AgentMissing finds nodes on which the network plugin's agent does not run.
var AgentMissing = &checks.Check{
	ID:       "cni-agent-missing-on-node",
	Title:    "An agent of the network plugin runs on every node",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets},
	MayUse:   []*facts.Source{facts.Events},
	Explains: []*checks.Check{CiliumNotReady, SubnetEnvMissing, NodenameMissing, WeaveDown, SandboxFailures, node.NetworkNotReady},
	ByHand: []string{"kubectl get daemonsets -A", "kubectl get pods -A -o wide --field-selector spec.nodeName=NODE",
		"kubectl describe node NODE", "kubectl -n NAMESPACE describe daemonset DAEMONSET"},
	Run: findAgentMissing,
	Doc: `The network plugin's DaemonSet is meant to run an agent on every Linux node. A node without one gets no configuration,
so that it stays not Ready; or, if it had one before, its routes grow old.

**How it comes about**: the DaemonSet does not tolerate a taint of the node (Flannel's tolerates NoSchedule alone: a taint
NoExecute evicts it), its nodeSelector or affinity leaves the node out, or its pods are refused: Flannel's namespace needs the
label pod-security.kubernetes.io/enforce=privileged.

Nodes that a nodeSelector or an affinity leaves out, and that do not complain, are meant to be so: virtual ones, those of
another plugin, those whose network comes from the platform. A node that only a taint keeps from having an agent is a warning as
long as it works.

**Cure**: give the DaemonSet's pods the toleration ` + "`operator: Exists`" + ` without key and effect, or let its selector take the node in.`,
}

func findAgentMissing(s *facts.Snapshot) []checks.Finding {
	covered, unbound := map[string]bool{}, false
	var sets []set
	for _, d := range plugins.Detect(s) {
		if d.Plugin.Kind != plugins.Primary {
			continue
		}
		for _, p := range d.Pods {
			covered[p.Node] = true
			unbound = unbound || p.Node == ""
		}
		for _, ds := range d.DaemonSets {
			sets = append(sets, set{d.Plugin.Name, ds})
		}
	}
	if len(sets) == 0 || unbound {
		return nil
	}
	failed, _ := stuckPods(s)
	fails := map[string]bool{}
	for _, p := range failed {
		fails[p.pod.Node] = true
	}
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		// EKS Auto Mode gives its own nodes their network on the host.
		auto := n.Labels["eks.amazonaws.com/compute-type"] == "auto"
		if covered[n.Name] || auto || silent(n) || s.Taken.Sub(n.CreationTimestamp.Time) < newNode {
			continue
		}
		if f := without(s, n, sets, fails[n.Name] || facts.NetworkTrouble(n) != ""); f != nil {
			out = append(out, *f)
		}
	}
	return out
}

type set struct {
	plugin string
	*appsv1.DaemonSet
}

func (d set) ref() facts.Ref {
	return facts.Ref{Kind: "DaemonSet", Namespace: d.Namespace, Name: d.Name}
}

// without tells why a node has no agent; ill says that it shows. It returns nil where a DaemonSet
// replaces its pods just now, and where the node is left out and does not complain.
func without(s *facts.Snapshot, n *corev1.Node, sets []set, ill bool) *checks.Finding {
	var chosen *checks.Finding
	for _, d := range sets {
		why := excluded(&d.Spec.Template.Spec, n)
		f := &checks.Finding{Subject: facts.NodeRef(n.Name), Remedy: why.remedy}
		switch {
		case why.text == "" && (d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedNumberScheduled < d.Status.DesiredNumberScheduled):
			return nil
		case why.text == "":
			f.Message = fmt.Sprintf("runs no agent of %s, although %s is meant for it", d.plugin, d.ref())
			f.Evidence = []checks.Evidence{checks.Quote("Pods on Node "+n.Name, "no agent of "+d.plugin)}
			f.Remedy = "Read the DaemonSet's events: its pods may be refused (pod security, quota), or its controller may stand still."
			if e := s.LastWarning(d.ref()); e != nil {
				f.Evidence = append(f.Evidence, checks.Quote(d.ref().String()+", event "+e.Reason, e.Message))
			}
			return f
		case !why.taint && !ill:
			continue
		case !ill:
			f.Severity = checks.Warning
		}
		f.Message = fmt.Sprintf("runs no agent of %s: %s %s", d.plugin, d.ref(), why.text)
		f.Evidence = []checks.Evidence{checks.Quote(d.ref().String()+", "+why.field, why.quote), checks.Quote("Node "+n.Name, why.node)}
		if chosen == nil || why.taint {
			chosen = f
		}
	}
	return chosen
}

// exclusion says why a DaemonSet places no pod on a node.
type exclusion struct {
	text, field, quote, node, remedy string // text continues "DaemonSet x"; empty where it does place one
	taint                            bool
}

// excluded asks what the DaemonSet controller asks (k8s.io/kubernetes, pkg/controller/daemon):
// nodeSelector, required affinity, taints.
func excluded(spec *corev1.PodSpec, n *corev1.Node) exclusion {
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		want := spec.NodeSelector[key]
		if got, found := n.Labels[key]; !found || got != want {
			return exclusion{
				text:  fmt.Sprintf("wants the label %s=%s, which the node lacks", key, want),
				field: "nodeSelector", quote: key + ": " + want,
				node:   "labels " + labels.Set(n.Labels).String(),
				remedy: fmt.Sprintf("Give the node the label %s=%s, or take %s out of the DaemonSet's nodeSelector.", key, want, key),
			}
		}
	}
	if terms := required(spec); terms != nil && !slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool { return admits(&t, n) }) {
		return exclusion{
			text:  "leaves the node out by its node affinity",
			field: "required node affinity", quote: describe(terms),
			node:   "labels " + labels.Set(n.Labels).String(),
			remedy: "Label the node as the DaemonSet's node affinity wants it, or let the affinity take the node in.",
		}
	}
	for _, t := range facts.Repelling(n, &facts.Pod{Template: &facts.Template{Tolerations: spec.Tolerations}}) {
		if !added(t.Key, spec.HostNetwork) {
			return exclusion{
				text:  fmt.Sprintf("does not tolerate the taint %s of the node", t.ToString()),
				field: "tolerations", quote: tolerations(spec.Tolerations),
				node:   "taint " + t.ToString(),
				remedy: "Give the DaemonSet's pods the toleration operator: Exists, without key and effect.",
				taint:  true,
			}
		}
	}
	return exclusion{}
}

// added tells whether the DaemonSet controller adds a toleration for a taint by itself.
func added(key string, hostNetwork bool) bool {
	switch key {
	case corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeDiskPressure, corev1.TaintNodeMemoryPressure,
		corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable:
		return true
	}
	return key == corev1.TaintNodeNetworkUnavailable && hostNetwork
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

func tolerations(list []corev1.Toleration) string {
	var out []string
	for _, t := range list {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", t.Key, t.Operator, t.Value, t.Effect)), " "))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, "; ")
}
