package node

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// grace is how long a node may be without network: one that joins always is at first.
const grace = time.Minute

// NetworkNotReady finds nodes whose container runtime has no pod network.
var NetworkNotReady = &checks.Check{
	ID:       "node-network-not-ready",
	Title:    "Every node has a pod network",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
	Needs:    []*facts.Source{facts.Nodes},
	MayUse:   []*facts.Source{facts.Pods},
	Explains: []*checks.Check{symptom.NodeNotReady, coredns.Pending, symptom.PodNotReady},
	ByHand: []string{"kubectl describe node NODE",
		"kubectl get pods -A -o wide --field-selector spec.nodeName=NODE",
		"crictl info # on the node: lastCNILoadStatus",
		"ls -l /etc/cni/net.d # on the node"},
	Run: findNoNetwork,
	Doc: `The kubelet asks the container runtime whether the pod network is ready and reports the node as not Ready
while it is not. Pods with an address of their own cannot start there; only those on the host's network can. The runtime
gives one of two reasons.

**No configuration** ("cni plugin not initialized", "no CNI configuration file in /etc/cni/net.d/"): no file of a network
plugin is there that can be loaded. Either no plugin is installed, or its agent does not run on this node or did not get as
far as writing the file, or a broken file sorts before it. CRI-O also passes over a file that names a program which it does not
find, and containerd may miss that a file was written until it is started again. On a cluster that was just made this is expected until a plugin
is installed.

**Anything else** is the plugin's own word: it is configured and says that it cannot work now.

Cure: install a network plugin, exactly one, where there is none. Otherwise look at the agent's pod on this node
(it runs on the host's network, so it can run): its state, its log and the log of its init containers. Then at the runtime:
` + "`crictl info`" + ` tells which file it could not load. Adding tolerations to CoreDNS cures nothing: it moves from Pending
to ContainerCreating.`,
}

func findNoNetwork(s *facts.Snapshot) []checks.Finding {
	agents := map[string][]*facts.Pod{}
	for _, p := range plugins.Agents(s) {
		if plugins.Agent(p).Kind != plugins.Policy {
			agents[p.Node] = append(agents[p.Node], p)
		}
	}
	var out []checks.Finding
	for _, n := range s.Nodes {
		trouble := facts.NetworkTrouble(n)
		if trouble == "" || s.Taken.Sub(facts.NodeReady(n).LastTransitionTime.Time) < grace {
			continue
		}
		f := noNetwork(n, trouble, agents[n.Name])
		if there := agents[n.Name]; s.Joining(n) && len(there) > 0 && !slices.ContainsFunc(there, restarted) {
			f.Severity = checks.Info // its agent may be about to write the configuration
		}
		out = append(out, f)
	}
	return out
}

func restarted(p *facts.Pod) bool {
	return slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return c.Restarts > 0 })
}

func noNetwork(n *corev1.Node, trouble string, agents []*facts.Pod) checks.Finding {
	f := checks.Finding{
		Subject:  facts.NodeRef(n.Name),
		Message:  "has no pod network: its network plugin reports that it cannot work",
		Remedy:   "Read the plugin's words in the condition and the log of its pod on this node.",
		Evidence: []checks.Evidence{checks.Quote("Node "+n.Name+", condition Ready", facts.NodeReady(n).Message)},
	}
	if facts.NoNetworkConfig(trouble) {
		f.Message = "has no pod network: its container runtime finds no network plugin's configuration"
		f.Remedy = cureNoConfig(agents)
	}
	for _, p := range agents {
		name, state := plugins.Agent(p).Name, "is Ready"
		if !p.Ready {
			state = "is not Ready: " + p.Trouble()
			f.Remedy = fmt.Sprintf("Find out why the pod of %s on this node is not Ready: "+
				"describe it and read its logs, with --previous and of its init containers.", name)
		}
		f.Evidence = append(f.Evidence, checks.Quote(p.Ref().String(), "the agent of "+name+" "+state))
	}
	return f
}

func cureNoConfig(agents []*facts.Pod) string {
	if len(agents) == 0 {
		return "Install a network plugin, or find out why the one that is installed has no pod on this node."
	}
	return "Look on the node which file the runtime cannot load (crictl info, lastCNILoadStatus), " +
		"and whether the agent writes to the directory that the runtime reads. If the file is good, restart the runtime: it may not have noticed it."
}
