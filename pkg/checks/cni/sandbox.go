package cni

import (
	"fmt"
	"regexp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// SandboxFailures finds pods that get no network because the plugin on their node fails.
var SandboxFailures = &checks.Check{
	ID:       "pod-sandbox-failures",
	Title:    "Pods get their network when they start",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets},
	Explains: []*checks.Check{symptom.PodNotReady, symptom.ServiceNoEndpoints, symptom.DNSServiceNoEndpoints},
	ByHand: []string{"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
		"kubectl -n NAMESPACE describe pod POD"},
	Run: findSandboxFailures,
	Doc: `Before a pod's containers start, the container runtime makes a sandbox and calls the network plugin's program to
connect it. While that fails the pod stays in ContainerCreating and the kubelet tries again and again. Pods on the host's
network are spared, and pods that run go on: a node may be Ready and yet start nothing new.

It is found where the newest event FailedCreatePodSandBox of a pod is of the last ten minutes, says that the plugin failed,
and the pod has no address; and where that has lasted for a minute or failed three times. Failures in the first moments of a
node or of a plugin's agent are normal. Sandboxes that fail for other reasons than the network are left out.

Where the plugin's words tell the cause, another finding names it and this one stands below it. **Cure** otherwise: read the
event. It ends with what the plugin says; the plugin's agent on the same node, its state and its log, usually tell the rest.`,
}

// refused is what Calico's program says when its kubeconfig does not let it in (libcalico-go).
var refused = regexp.MustCompile(`connection is unauthorized|\(add\): Unauthorized`)

func findSandboxFailures(s *facts.Snapshot) []checks.Finding {
	all, net := stuckPods(s)
	var out []checks.Finding
	for _, p := range all {
		f := checks.Finding{
			Subject:  p.pod.Ref(),
			Message:  "gets no network: the plugin on its node fails",
			Evidence: []checks.Evidence{p.quote()},
			Remedy:   "Do what the plugin says at the end of the event; then read the state and the log of its agent on the same node.",
		}
		switch {
		case p.ailment != unnamed:
		case p.plugin == "calico" && refused.MatchString(p.said.Message):
			f.Message = "gets no network: the API server refuses Calico's program on its node"
			f.Remedy = "Delete Calico's agent on the node: it writes the program's kubeconfig (/etc/cni/net.d/calico-kubeconfig) anew. " +
				"If that does not help, see what its ServiceAccount may do."
		case p.program != "":
			f.Message = fmt.Sprintf("gets no network: the plugin %q on its node fails", p.program)
		}
		if a := net.agent(p.pod.Node, p.plugin); p.ailment == unnamed && a != nil && !a.Ready {
			f.Evidence = append(f.Evidence, checks.Quote(a.Ref().String(), "the plugin's agent on the same node is not Ready: "+a.Trouble()))
			f.Places = append(f.Places, a.Ref())
		}
		out = append(out, f)
	}
	return out
}
