package cni

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// WeaveUnsupported finds clusters whose network plugin is Weave Net, which nobody maintains.
var WeaveUnsupported = &checks.Check{
	ID:       "weave-unsupported",
	Title:    "The network plugin is maintained",
	Severity: checks.Info,
	URL:      "https://github.com/weaveworks/weave",
	Needs:    []*facts.Source{facts.Pods},
	MayUse:   []*facts.Source{facts.DaemonSets},
	ByHand:   []string{"kubectl get daemonsets -A -o wide"},
	Run:      findWeaveUnsupported,
	Doc: `Weave Net's last release is 2.8.1; its repository is archived, and Weaveworks has closed. Faults and security holes are
not mended any more. Its manifest at cloud.weave.works does not answer, so that a new node pool or a new cluster cannot be made
by the old instructions, and it does not work on hosts whose iptables (1.8 and later) writes nf_tables rules.

Nothing is broken by that today. The fork github.com/rajch/weave goes on for a time and is not told.

Cure: plan to move to a maintained plugin. Changing it means work on every node and a restart of all pods, so often a new
cluster is easier.`,
}

// original matches the images of Weaveworks, not those of the fork.
var original = regexp.MustCompile(`(^|/)weaveworks/weave-kube(:|@|$)`)

func findWeaveUnsupported(s *facts.Snapshot) []checks.Finding {
	from, image := weaveImage(s)
	if image == "" {
		return nil
	}
	weave := plugins.Named("weave")
	return []checks.Finding{{
		Subject:  facts.Cluster(),
		Message:  "uses Weave Net, which nobody maintains any more",
		Evidence: []checks.Evidence{checks.Quote(from, "image: "+image), checks.Quote("plugins.yaml, "+weave.Name, weave.Status.Text)},
		Remedy:   "Plan to move to a network plugin that is maintained, such as Flannel, Calico or Cilium.",
	}}
}

// weaveImage returns where Weaveworks' image runs, and which.
func weaveImage(s *facts.Snapshot) (from, image string) {
	for _, d := range s.DaemonSets {
		for i := range d.Spec.Template.Spec.Containers {
			if image := d.Spec.Template.Spec.Containers[i].Image; original.MatchString(image) {
				return set{DaemonSet: d}.ref().String(), image
			}
		}
	}
	for _, p := range s.Pods {
		for i := range p.Containers {
			if p.HostNetwork && !p.Finished() && original.MatchString(p.Containers[i].Image) {
				return p.Ref().String(), p.Containers[i].Image
			}
		}
	}
	return "", ""
}

// weaveStalls tells whether the making of a pod's sandbox has run out of time on a node whose agent of
// Weave Net, the only plugin, is Ready: it lets those wait for whom it has no address.
func (n network) weaveStalls(p *facts.Pod, e *facts.Event) bool {
	a := n.agent(p.Node, "weave")
	return strings.Contains(e.Message, "DeadlineExceeded") && len(n.has) == 1 && a != nil && a.Ready
}

// peers are the nodes that Weave Net takes for its peers and that are gone.
type peers struct {
	cm    *corev1.ConfigMap
	all   int
	names []string
}

// peersKey is the annotation under which Weave Net keeps who its peers are (prog/kube-utils).
const peersKey = "kube-peers.weave.works/peers"

func gonePeers(s *facts.Snapshot) peers {
	for _, cm := range s.ConfigMaps {
		var list struct{ Peers []struct{ NodeName string } }
		if json.Unmarshal([]byte(cm.Annotations[peersKey]), &list) != nil {
			continue
		}
		out := peers{cm: cm, all: len(list.Peers)}
		for _, p := range list.Peers {
			if p.NodeName != "" && s.Node(p.NodeName) == nil {
				out.names = append(out.names, p.NodeName)
			}
		}
		return out
	}
	return peers{}
}

// ownedByGone tells that the addresses which a node would need belong to peers that are gone.
func ownedByGone(s *facts.Snapshot, pods []stuck) checks.Finding {
	gone := gonePeers(s)
	f := onNode(pods, "has no address left for new pods: peers of Weave Net that are gone still own ranges",
		"In a pod of Weave Net, look who owns what (/home/weave/weave --local status ipam), and for each peer that is unreachable and gone: "+
			"/home/weave/weave --local rmpeer NAME, on one node only. Then take it out of that annotation.")
	names := strings.Join(gone.names[:min(len(gone.names), shown)], ", ")
	if len(gone.names) > shown {
		names += ", …"
	}
	f.Evidence = append(f.Evidence, checks.Quote(conf{cm: gone.cm}.ref().String()+", annotation "+peersKey,
		fmt.Sprintf("%d of %d peers are no nodes: %s", len(gone.names), gone.all, names)))
	return f
}
