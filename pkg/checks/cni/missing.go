package cni

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
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
	Explains: []*checks.Check{ConfMissing, CiliumNotReady, SubnetEnvMissing, NodenameMissing, WeaveDown, MultusDelegate, SandboxFailures, node.NetworkNotReady, traffic.PodToPod},
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
		why := facts.Excluded(&d.Spec.Template.Spec, n)
		f := &checks.Finding{Subject: facts.NodeRef(n.Name), Remedy: why.Cure}
		switch {
		case why.Text == "" && (d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedNumberScheduled < d.Status.DesiredNumberScheduled):
			return nil
		case why.Text == "":
			f.Message = fmt.Sprintf("runs no agent of %s, although %s is meant for it", d.plugin, d.ref())
			f.Evidence = []checks.Evidence{checks.Quote("Pods on Node "+n.Name, "no agent of "+d.plugin)}
			f.Remedy = "Read the DaemonSet's events: its pods may be refused (pod security, quota), or its controller may stand still."
			if e := s.LastWarning(d.ref()); e != nil {
				f.Evidence = append(f.Evidence, checks.Quote(d.ref().String()+", event "+e.Reason, e.Message))
			}
			return f
		case why.Rule != facts.ByTaint && !ill:
			continue
		case !ill:
			f.Severity = checks.Warning
		}
		f.Message = fmt.Sprintf("runs no agent of %s: %s %s", d.plugin, d.ref(), why.Text)
		f.Evidence = []checks.Evidence{checks.Quote(d.ref().String()+", "+why.Field, why.Quote), checks.Quote("Node "+n.Name, why.Node)}
		if chosen == nil || why.Rule == facts.ByTaint {
			chosen = f
		}
	}
	return chosen
}
