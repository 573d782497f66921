package cni

import (
	"fmt"
	"path"
	"slices"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// MultusDelegate finds nodes and pods for which Multus cannot call the plugins that do the work.
var MultusDelegate = &checks.Check{
	ID:       "multus-delegate",
	Title:    "Multus reaches what it hands pods on to",
	Severity: checks.Error,
	URL:      "https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/docs/configuration.md",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.DaemonSets, facts.Files},
	Parts:    multusParts,
	Explains: []*checks.Check{SandboxFailures},
	ByHand: []string{"kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
		"kubectl get network-attachment-definitions -A", "kubectl get pods -A -o wide -l app=multus",
		"ls /etc/cni/net.d # on the node: Multus's own file and that of the network plugin"},
	Run: findMultusDelegate,
	Doc: `Multus is no network by itself: the runtime calls it for each pod, and it calls the network plugin of the cluster, then
one more for each NetworkAttachmentDefinition that the pod's annotation k8s.v1.cni.cncf.io/networks names. If it cannot, the pod
gets no network at all.

**It waits for a file** (readinessindicatorfile): the network plugin's agent on that node has not written its configuration, or
writes another file than Multus is told to wait for. No new pod starts on the node. **Its daemon does not answer**
(multus.sock): the program on the node hands each pod to the daemon, and that does not run there; or Multus was removed and its
file, which sorts first, was left behind. **A NetworkAttachmentDefinition is missing**: a pod asks for a network that nobody has
defined in that namespace. Only such pods fail; it is a warning.

With --depth host Multus's file is read: whether the one that it hands pods on to (clusterNetwork), or waits for, is there, before any pod fails.

**Cure**: mend the network plugin's agent, or Multus's, on that node; create the NetworkAttachmentDefinition, or correct the
annotation. Where Multus was removed, delete its file (00-multus.conf) in /etc/cni/net.d on every node. Where Cilium renamed other
plugins' files to end in .cilium_bak, set its value cni.exclusive to false.`,
}

func findMultusDelegate(s *facts.Snapshot) []checks.Finding {
	all, net := stuckPods(s)
	var out []checks.Finding
	for _, pods := range ofNodes(all, multusWaits) {
		out = append(out, waitsForFile(net, pods))
	}
	if silent := ofNodes(all, multusSilent); len(silent) > 0 {
		daemons := multus(s)
		for _, pods := range silent {
			out = append(out, daemonSilent(daemons, pods))
		}
	}
	for i := range all {
		if all[i].ailment == noAttachment {
			out = append(out, lacksAttachment(&all[i]))
		}
	}
	return absentDelegates(s, out)
}

// multusParts names the nodes of which must be known what their runtimes find, where Multus
// is installed.
func multusParts(s *facts.Snapshot) []checks.Part {
	if s.Depth < facts.Host || multus(s) == nil {
		return nil
	}
	return cniParts(s)
}

// waitsForFile tells that the network plugin's configuration, by which Multus knows that it is
// there, is missing.
func waitsForFile(net network, pods []stuck) checks.Finding {
	file := path.Base(pods[0].words[0])
	f := onNode(pods, fmt.Sprintf("starts no new pod: Multus waits for the file %s of the cluster's network plugin", file),
		fmt.Sprintf("See whether /etc/cni/net.d/%s is on the node. If the network plugin writes another file, name that one in "+
			"Multus's readinessindicatorfile; else mend the plugin's agent on the node.", file))
	if id := writes(file); id != "" {
		withAgent(net, &f, id)
	}
	return f
}

// writes returns the id of the plugin whose agents write a file of this name, or "".
func writes(file string) string {
	for _, p := range plugins.All() {
		if p.Kind == plugins.Primary && slices.Contains(p.Files, file) {
			return p.ID
		}
	}
	return ""
}

// daemonSilent tells that the program on a node finds no daemon of Multus.
func daemonSilent(daemons map[string]*facts.Pod, pods []stuck) checks.Finding {
	f := onNode(pods, "starts no new pod: Multus's daemon does not answer",
		"Delete Multus's pod on the node; if that does not help, see that its volume is the host's directory of the socket that the event names.")
	daemon := daemons[f.Subject.Name]
	switch {
	case daemons == nil:
		f.Evidence = append(f.Evidence, checks.Quote("DaemonSets and pods", "none of Multus"))
		f.Remedy = "Install Multus again, or delete the file that it left in /etc/cni/net.d on the node (00-multus.conf): the first by name is used."
	case daemon == nil:
		f.Evidence = append(f.Evidence, checks.Quote("Pods on Node "+f.Subject.Name, "none of Multus"))
		f.Remedy = "Find out why Multus's daemon does not run on this node: compare its DaemonSet's selector and tolerations with the node."
	case daemon.Ready:
		f.Evidence = append(f.Evidence, checks.Quote(daemon.Ref().String(), "Multus's daemon is Ready"))
	default:
		f.Evidence = append(f.Evidence, checks.Quote(daemon.Ref().String(), "Multus's daemon is not Ready: "+daemon.Trouble()))
		f.Places = append(f.Places, daemon.Ref())
		f.Remedy = "Mend Multus's daemon on the node: read its log, with --previous, and its events."
	}
	return f
}

// multus returns Multus's daemons by node, or nil where it is not installed.
func multus(s *facts.Snapshot) map[string]*facts.Pod {
	var out map[string]*facts.Pod
	for _, d := range plugins.Detect(s) {
		if d.Plugin.ID != "multus" {
			continue
		}
		out = map[string]*facts.Pod{}
		for _, p := range d.Pods {
			if !p.Deleting {
				out[p.Node] = p
			}
		}
	}
	return out
}

// lacksAttachment tells that a pod asks for a network that is not defined.
func lacksAttachment(p *stuck) checks.Finding {
	of := p.words[1] + "/" + p.words[0]
	return checks.Finding{
		Subject:  p.pod.Ref(),
		Severity: checks.Warning,
		Message:  "gets no network: it asks Multus for a NetworkAttachmentDefinition that does not exist",
		Evidence: []checks.Evidence{p.quote()},
		Remedy: fmt.Sprintf("Create NetworkAttachmentDefinition %s, or correct the annotation k8s.v1.cni.cncf.io/networks of the pod's template: "+
			"without a namespace it means the pod's own.", of),
	}
}
