package cni

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// OverlayBlocked finds nodes whose agents get no answer from those of other nodes, or between
// which what carries pods' packets does not come through.
var OverlayBlocked = &checks.Check{
	ID:       "overlay-port-blocked",
	Title:    "What the network plugin sends from node to node comes through",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/networking/ports-and-protocols/",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.Tries, facts.DaemonSets, facts.ConfigMaps, facts.NetworkPolicies},
	Parts:    overlayParts,
	Explains: []*checks.Check{CalicoNotReady, AgentUnhealthy, traffic.PodToPod},
	ByHand: []string{"kubectl -n NAMESPACE logs POD --all-containers | grep -E 'typha endpoint|connection attempt'",
		"nc -zvw3 ADDRESS PORT # on the node, to the address that the log names", "iptables -S INPUT; nft list ruleset # on the other node",
		"tcpdump -ni any udp port 8472 # on the other node, with the port that the finding names, while pods of one node try those of the other"},
	Run: findOverlayBlocked,
	Doc: `Network plugins send what pods say to each other, and their own messages, to ports of the other nodes. If a firewall of the
machines or a security group of the cloud drops that, pods on different nodes do not reach each other.

Two agents log it. **Weave Net** connects to TCP port 6783 of every other node, and sends pods' packets to UDP ports 6783 and 6784.
**Calico** with Typha connects to TCP port 5473 of the nodes on which Typha runs; without it calico-node does not become Ready. It is
found where the last attempts to reach the address of a Ready node got no answer. A connection that is refused is another thing:
nothing listens there. Calico's BGP (TCP 179) is told by **calico-node-not-ready**.

Packets tell it of the other plugins too, at --depth probe: pods reach those beside them and the machines of the other nodes, but not
the pods there, while the plugin's agents are Ready. The port is that of the plugin's tunnel, as its configuration says: UDP 8472 (VXLAN of Flannel
and Cilium), UDP 4789 (VXLAN of Calico), IP protocol 4 (IP-in-IP), UDP 6081 (Geneve), UDP 51820 and 51871 (WireGuard). Clouds let through no
protocol of IP but TCP, UDP and ICMP unless told to (Azure never does), and VMware NSX takes UDP 8472 and 4789 of virtual machines for its own.

**Cure**: let the plugin's ports through between the nodes, in both directions.`,
}

// dialling is how an agent logs that it tries to reach another node. The group of fails is the address,
// that of succeeds too: where it has none, one success is enough.
type dialling struct {
	fails, succeeds *regexp.Regexp
	message, remedy string
}

const unanswered = `(?:(?:connect|getsockopt): )?(?:i/o timeout|connection timed out|no route to host)`

// diallings are those of Weave's mesh and of Calico's client of Typha (typha/pkg/syncclient), by plugin.
func diallings() map[string]*dialling {
	typha := &dialling{
		regexp.MustCompile(`Failed to connect to typha endpoint \[?([0-9a-fA-F.:]+?)\]?:5473\..*dial tcp \S+: ` + unanswered),
		regexp.MustCompile(`Successfully connected to Typha at `),
		"gets no answer from Typha on other nodes (TCP port 5473), without which Calico's agent does not work",
		"Let TCP port 5473 through from every node to those on which Typha runs, in the firewall of the machines and the security groups of the cloud.",
	}
	return map[string]*dialling{
		"calico": typha, "canal": typha,
		"weave": {
			regexp.MustCompile(`->\[([0-9.]+):6783\] error during connection attempt: dial tcp4? \S+: ` + unanswered),
			regexp.MustCompile(`->\[([0-9.]+):\d+\|[^\]]*\]: connection fully established`),
			"gets no answer from other nodes on TCP port 6783, over which Weave Net's agents talk",
			"Let TCP port 6783 and UDP ports 6783 and 6784 through between all nodes, in the firewall of the machines and the security groups of the cloud.",
		},
	}
}

// attempts is how many must have failed in a row.
const attempts = 2

func findOverlayBlocked(s *facts.Snapshot) []checks.Finding {
	if out := overlayLogged(s); len(out) > 0 {
		return out
	}
	return overlayDead(s)
}

// overlayLogged finds agents that say so themselves.
func overlayLogged(s *facts.Snapshot) []checks.Finding {
	known := diallings()
	var peers map[string]*corev1.Node
	var out []checks.Finding
	for _, p := range plugins.Agents(s) {
		d, n := known[plugins.Agent(p).ID], s.Node(p.Node)
		if d == nil || p.Deleting || n == nil || silent(n) {
			continue
		}
		failed := d.last(s, p)
		if len(failed) == 0 {
			continue
		}
		if peers == nil {
			peers = readyNodes(s)
		}
		f := checks.Finding{Subject: facts.NodeRef(p.Node), Message: d.message, Remedy: d.remedy}
		for _, ip := range slices.Sorted(maps.Keys(failed)) {
			if of := peers[ip]; of != nil && of != n && len(f.Evidence) < 2*shown {
				f.Evidence = append(f.Evidence, checks.QuoteLog(p, "log", failed[ip]),
					checks.Quote("Node "+of.Name, "is Ready and has the address "+ip))
			}
		}
		if len(f.Evidence) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// last returns, by address, the last line of the attempts to reach nodes that failed in a row until
// the end of an agent's log.
func (d *dialling) last(s *facts.Snapshot, p *facts.Pod) map[string]string {
	lines, count := map[string]string{}, map[string]int{}
	for i := range p.Containers {
		log := s.Logs[fmt.Sprintf("%s/%s/%s", p.Namespace, p.Name, p.Containers[i].Name)].Current
		for line := range strings.Lines(log) {
			if m := d.fails.FindStringSubmatch(line); m != nil {
				lines[m[1]] = strings.TrimSpace(line)
				count[m[1]]++
			} else if m := d.succeeds.FindStringSubmatch(line); len(m) > 1 {
				delete(count, m[1])
			} else if m != nil {
				clear(count)
			}
		}
	}
	maps.DeleteFunc(lines, func(ip, _ string) bool { return count[ip] < attempts })
	return lines
}

// readyNodes returns the nodes that are Ready by their addresses: what does not answer there is not
// the machine.
func readyNodes(s *facts.Snapshot) map[string]*corev1.Node {
	out := map[string]*corev1.Node{}
	for _, n := range s.Nodes {
		if c := facts.NodeReady(n); c == nil || c.Status != corev1.ConditionTrue {
			continue
		}
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				out[a.Address] = n
			}
		}
	}
	return out
}
