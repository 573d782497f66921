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
	MayUse:   []*facts.Source{facts.DaemonSets, facts.ConfigMaps},
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

// told is what the words of a program mean where no check of its own tells it.
type told struct {
	re              *regexp.Regexp
	message, remedy string // the groups of the expression fill in what %s stands for in the message
}

// tolds are the words of Calico (libcalico-go), the AWS VPC CNI, Multus, the bridge program and of
// everything that uses the CNI library (pkg/skel).
var tolds = []told{
	{regexp.MustCompile(`error getting pod: Unauthorized`),
		"the API server refuses Multus's program on its node",
		"Delete Multus's pod on the node: it writes the program's kubeconfig (/etc/cni/net.d/multus.d/multus.kubeconfig) anew. " +
			"If that does not help, see what its ServiceAccount may do."},
	{regexp.MustCompile(`connection is unauthorized|calico.*\(add\): Unauthorized|error getting ClusterInformation: .*Unauthorized`),
		"the API server refuses Calico's program on its node",
		"Delete Calico's agent on the node: it writes the program's kubeconfig (/etc/cni/net.d/calico-kubeconfig) anew. " +
			"If that does not help, see what its ServiceAccount may do."},
	{regexp.MustCompile(`error getting ClusterInformation: .*x509: `),
		"Calico's program on its node does not trust the API server",
		"Delete Calico's agent on the node: it writes the program's kubeconfig (/etc/cni/net.d/calico-kubeconfig) anew, which is of an " +
			"earlier cluster, or from before the cluster's certificates were replaced."},
	{regexp.MustCompile(`error getting ClusterInformation: .*(?:dial tcp \S+: (?:i/o timeout|connect: )|TLS handshake timeout|context deadline exceeded)`),
		"Calico's program on its node does not reach the API server",
		"See that kube-proxy works on the node and that Service default/kubernetes leads to API servers: the program asks there."},
	{regexp.MustCompile(`aws-cni.*127\.0\.0\.1:50051: connect: connection refused`),
		"the AWS VPC CNI's agent on its node does not answer",
		"Read the state and the log of the pod of aws-node on the same node, with --previous: usually it may not ask AWS for addresses (IAM), or does not reach the API server."},
	{regexp.MustCompile(`incompatible CNI versions[;:] config is \\?"([^"\\]+)`),
		"a program on its node is too old for the configuration, which asks for version %s of CNI",
		"Update the programs in /opt/cni/bin on the node (the package kubernetes-cni or containernetworking-plugins; what the plugin's agent copies is of its own version), " +
			"or ask for an older cniVersion in the configuration."},
	{regexp.MustCompile(`\\?"([\w.-]+)\\?" already exists but is not a bridge`),
		"on its node %s is there already, and is no bridge",
		"On the node, see what made the interface (ip -d link show), rename or delete it; the next pod makes the bridge."},
}

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
		if p.ailment == unnamed {
			p.tell(&f)
		}
		if a := net.agent(p.pod.Node, p.plugin); p.ailment == unnamed && a != nil && !a.Ready {
			f.Evidence = append(f.Evidence, checks.Quote(a.Ref().String(), "the plugin's agent on the same node is not Ready: "+a.Trouble()))
			f.Places = append(f.Places, a.Ref())
		}
		out = append(out, f)
	}
	return out
}

// tell says more exactly what is wrong, as far as the program's words or its name tell.
func (p *stuck) tell(f *checks.Finding) {
	for i := range tolds {
		m := tolds[i].re.FindStringSubmatch(p.said.Message)
		if m == nil {
			continue
		}
		f.Message, f.Remedy = "gets no network: "+tolds[i].message, tolds[i].remedy
		if len(m) > 1 {
			f.Message = fmt.Sprintf(f.Message, m[1])
		}
		return
	}
	if p.program != "" {
		f.Message = fmt.Sprintf("gets no network: the plugin %q on its node fails", p.program)
	}
}
