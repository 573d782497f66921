package cni

import (
	"regexp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// SubnetEnvMissing finds nodes on which Flannel's agent has not written its file.
var SubnetEnvMissing = &checks.Check{
	ID:       "flannel-subnet-env-missing",
	Title:    "Flannel's agent has written its file on every node",
	Severity: checks.Error,
	URL:      "https://github.com/flannel-io/flannel/blob/master/Documentation/troubleshooting.md",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets, facts.Files},
	Parts:    subnetEnvParts,
	Explains: []*checks.Check{SandboxFailures},
	ByHand: []string{"kubectl -n kube-flannel get pods -o wide", "kubectl -n kube-flannel logs ds/kube-flannel-ds",
		"cat /run/flannel/subnet.env # on the node"},
	Run: findSubnetEnvMissing,
	Doc: `Flannel's program on the node reads from /run/flannel/subnet.env which part of the pod range the node has. Flannel's
agent writes that file once it has its lease; /run is empty after every start of the machine. Without the file no new pod
starts on the node. With --depth host it is looked for, before any pod fails.

For a minute after a node's start that is normal. Otherwise the agent does not get so far, and its log says why: net-conf.json
in its ConfigMap cannot be read, the node has no podCIDR, the module br_netfilter is not loaded, it finds no interface, or
does not reach the API server.

Cure: that of the agent's log. If the agent is Ready and the file is gone nevertheless, delete the agent's pod: it writes the
file when it starts.`,
}

// NodenameMissing finds nodes on which Calico's agent has never come up.
var NodenameMissing = &checks.Check{
	ID:       "calico-nodename-missing",
	Title:    "Calico's agent has come up on every node",
	Severity: checks.Error,
	URL:      "https://docs.tigera.io/calico/latest/operations/troubleshoot/troubleshooting",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets},
	Explains: []*checks.Check{SandboxFailures},
	ByHand:   []string{"kubectl get pods -A -o wide -l k8s-app=calico-node", "ls -l /var/lib/calico/nodename # on the node"},
	Run:      findNodenameMissing,
	Doc: `Calico's program on the node does nothing before calico-node has written its name to /var/lib/calico/nodename, which
it does when it has started. Until then no new pod starts on the node.

For a minute on a new node that is normal. Otherwise calico-node does not come up there, or does not have the host's directory
/var/lib/calico mounted.

Cure: look at the pod of calico-node on the node: its state, its events, the logs of its init containers and its own. If it
is Ready, see that its volume var-lib-calico is the host's /var/lib/calico.`,
}

// WeaveDown finds nodes on which Weave Net's agent does not answer its program.
var WeaveDown = &checks.Check{
	ID:       "weave-agent-down",
	Title:    "Weave Net's agent answers on every node",
	Severity: checks.Error,
	URL:      "https://github.com/weaveworks/weave/blob/master/site/kubernetes/kube-addon.md",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets},
	Explains: []*checks.Check{SandboxFailures, traffic.PodToPod},
	ByHand: []string{"kubectl -n kube-system get pods -l name=weave-net -o wide", "kubectl -n kube-system logs POD -c weave",
		"curl http://127.0.0.1:6784/status # on the node"},
	Run: findWeaveDown,
	Doc: `Weave Net's program on the node asks its agent, on 127.0.0.1:6784, for the address of each pod. If nobody listens
there, no new pod starts on the node.

For a minute after a node's start that is normal. Otherwise the container weave of the node's weave-net pod does not come up.
Its log says why: often it cannot reach the API server through its Service, because kube-proxy is ill, or its database
/var/lib/weave is damaged.

Cure: that of the log. Weave Net has no maintainer any more: its project was archived.`,
}

func findSubnetEnvMissing(s *facts.Snapshot) []checks.Finding {
	return subnetFiles(s, agentsGone(s, noSubnetEnv, "flannel", noSubnet, rewriteSubnet))
}

const (
	noSubnet      = "starts no new pod: Flannel's agent has not written its subnet.env"
	rewriteSubnet = "Delete Flannel's pod on the node: it writes the file when it starts."
)

func findNodenameMissing(s *facts.Snapshot) []checks.Finding {
	return agentsGone(s, noNodename, "calico", "starts no new pod: Calico's agent has not written its nodename",
		"See that the host's /var/lib/calico is mounted into the pod of calico-node; then delete its pod on the node.")
}

func findWeaveDown(s *facts.Snapshot) []checks.Finding {
	out := agentsGone(s, weaveSilent, "weave", "starts no new pod: Weave Net's agent does not answer on port 6784",
		"Read the log of the container weave on the node; then delete the pod.")
	for i := range out {
		n := s.Node(out[i].Subject.Name)
		if n != nil && brokeWeave.MatchString(n.Status.NodeInfo.ContainerRuntimeVersion) {
			out[i].Evidence = append(out[i].Evidence, checks.Quote("Node "+n.Name, "containerRuntimeVersion: "+n.Status.NodeInfo.ContainerRuntimeVersion+
				" (1.6.0 to 1.6.4 do not work with Weave Net)"))
			out[i].Remedy += " Besides, update containerd to 1.6.5 or later."
		}
	}
	return out
}

// brokeWeave matches the versions of containerd that did not understand Weave Net's answers
// (containerd/containerd#6921).
var brokeWeave = regexp.MustCompile(`^containerd://v?1\.6\.[0-4]($|[^0-9])`)

// agentsGone reports the nodes on which a plugin's program waits for its agent. The cure is for
// an agent that is Ready.
func agentsGone(s *facts.Snapshot, why ailment, plugin, message, cure string) []checks.Finding {
	nodes, net := byNode(s, why)
	var out []checks.Finding
	for _, pods := range nodes {
		f := onNode(pods, message, cure)
		cureAgent(s, net, &f, plugin)
		out = append(out, f)
	}
	return out
}

// cureAgent adds what is known of the plugin's agent on the node, and what is to be done
// where that is not Ready.
func cureAgent(s *facts.Snapshot, net network, f *checks.Finding, plugin string) {
	a := withAgent(net, f, plugin)
	switch {
	case a == nil && bringsItsOwn(s) != "":
		f.Remedy = "Read the log of k3s on the node (journalctl -u k3s, or -u k3s-agent): the plugin's agent is part of it."
	case a == nil:
		f.Remedy = "Find out why the plugin's agent does not run on this node: compare its DaemonSet's selector and tolerations with the node."
	case !a.Ready:
		f.Remedy = checks.Command("Mend the plugin's agent on the node: read its log, with --previous, and its events (kubectl -n %s describe pod).", a.Namespace)
	}
}
