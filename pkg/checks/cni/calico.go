package cni

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/node"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// CalicoNotReady finds agents of Calico that say themselves why they are not Ready.
var CalicoNotReady = &checks.Check{
	ID:       "calico-node-not-ready",
	Title:    "Every calico-node is Ready by its own word",
	Severity: checks.Error,
	URL:      "https://docs.tigera.io/calico/latest/operations/troubleshoot/troubleshooting",
	Needs:    []*facts.Source{facts.Pods, facts.Events},
	MayUse:   []*facts.Source{facts.Nodes, facts.PodLogs},
	Explains: []*checks.Check{NodenameMissing, MultusDelegate, SandboxFailures, node.NetworkNotReady, symptom.PodNotReady, traffic.PodToPod},
	ByHand: []string{"kubectl describe pod -A -l k8s-app=calico-node", "kubectl get nodes -o yaml | grep projectcalico.org/IPv4Address",
		"calicoctl node status # on the node"},
	Run: findCalicoNotReady,
	Doc: `calico-node answers its readiness probe itself and says what is missing. **BGP not established**: no other node
answers on TCP port 179, so no route leads to their pods; once it has run for a while a single session is enough. **BIRD**: its BGP
daemon does not run. **Felix**: the part that writes routes and rules does not work. Before Calico 3.12 it exits where
net.ipv4.conf.all.rp_filter is 2, as systemd sets it; later versions have nothing against that.

**How it comes about**: Calico takes the first address of the machine that it finds. On machines with several interfaces that
may be one that the other nodes do not reach (10.0.2.15 in VirtualBox). Or a firewall or a security group does not let TCP port
179 through, or two nodes have the same address.

**Cure**: tell Calico which interface to take: ` + "`kubectl -n kube-system set env ds/calico-node IP_AUTODETECTION_METHOD=interface=NAME`" + `,
or with the operator ` + "`nodeAddressAutodetectionV4`" + ` in the Installation. Open TCP port 179 between the nodes.`,
}

// calicoWord is how calico-node names what it lacks (node/pkg/health in its sources).
var calicoWord = regexp.MustCompile(`calico/node is not ready: .*`)

// calicoSays returns for each agent of Calico that has not been Ready for some time the newest
// event of its probe in which it says why.
func calicoSays(s *facts.Snapshot) map[facts.Ref]*facts.Event {
	out := map[facts.Ref]*facts.Event{}
	for _, e := range s.EventsOf("Unhealthy") {
		if e.About.Kind != "Pod" || !calicoWord.MatchString(e.Message) || s.Taken.Sub(e.Seen.Time()) >= recent {
			continue
		}
		p := s.Pod(e.About.Namespace, e.About.Name)
		if p == nil || p.Ready || p.Deleting || e.Seen < p.Created || s.Taken.Sub(since(p)) < patience {
			continue
		}
		if a := plugins.Agent(p); a == nil || a.ID != "calico" && a.ID != "canal" {
			continue
		}
		if n := s.Node(p.Node); n != nil && silent(n) {
			continue
		}
		out[e.About] = e // they stand in the order of their times
	}
	return out
}

func findCalicoNotReady(s *facts.Snapshot) []checks.Finding {
	said := calicoSays(s)
	var out []checks.Finding
	for _, ref := range slices.SortedFunc(maps.Keys(said), facts.Ref.Compare) {
		e, p := said[ref], s.Pod(ref.Namespace, ref.Name)
		f := checks.Finding{
			Subject:  ref,
			Message:  "is not Ready by its own word",
			Remedy:   "Read the log of the container calico-node for what the event names.",
			Evidence: []checks.Evidence{checks.Quote(ref.String()+", event Unhealthy", calicoWord.FindString(e.Message))},
		}
		n := s.Node(p.Node)
		switch {
		case strings.Contains(e.Message, "BGP not established"):
			f.Message = "is not Ready: no BGP session to another node is established"
			f.Remedy = "Let TCP port 179 through between the nodes, and see that Calico took the address by which the nodes reach each other."
			if n != nil {
				otherAddress(n, &f)
			}
		case strings.Contains(e.Message, "nodename file"):
			f.Message = "is not Ready: it has not finished starting"
		case strings.Contains(e.Message, "BIRD"), strings.Contains(e.Message, "bird"):
			f.Message = "is not Ready: its BGP daemon BIRD does not run"
		case strings.Contains(strings.ToLower(e.Message), "felix"):
			f.Message = "is not Ready: Felix, which writes routes and rules, does not work"
			if quote, said := lastSaid(s, p, looseRPF, 0); said {
				f.Message = "is not Ready: Felix exits, since the kernel's check of source addresses is loose (rp_filter is 2)"
				f.Remedy = looseCure
				f.Evidence = append(f.Evidence, quote)
			}
		}
		if n != nil && facts.NetworkTrouble(n) != "" {
			f.Places = append(f.Places, facts.NodeRef(n.Name))
		}
		out = append(out, f)
	}
	return out
}

// otherAddress tells where Calico took another address of the node than the kubelet.
func otherAddress(n *corev1.Node, f *checks.Finding) {
	took, _, _ := strings.Cut(n.Annotations["projectcalico.org/IPv4Address"], "/")
	if took == "" {
		return
	}
	for _, a := range n.Status.Addresses {
		if a.Type != corev1.NodeInternalIP || strings.Contains(a.Address, ":") {
			continue
		}
		f.Evidence = append(f.Evidence, checks.Quote("Node "+n.Name, "projectcalico.org/IPv4Address: "+took+", InternalIP: "+a.Address))
		if a.Address != took {
			f.Message += ", and Calico took another address of the node than the kubelet"
			f.Remedy = "Tell Calico which interface to take: IP_AUTODETECTION_METHOD of the DaemonSet, or nodeAddressAutodetectionV4 of the operator's Installation."
		}
		return
	}
}
