package node

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// ConntrackPressure finds nodes whose table of connections is full or nearly so, by what
// their kernel or node-problem-detector says.
var ConntrackPressure = &checks.Check{
	ID:       "conntrack-pressure",
	Title:    "Nodes have room to track further connections",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-cluster/monitor-node-health/",
	Needs:    []*facts.Source{facts.Nodes, facts.Events},
	MayUse:   []*facts.Source{facts.Files},
	Parts:    conntrackParts,
	Explains: []*checks.Check{coredns.APIUnreachable, coredns.NotSynced, coredns.UpstreamFailing, coredns.PodOutside, symptom.DNSDelay},
	ByHand: []string{"kubectl get events -A --field-selector reason=ConntrackFull", "kubectl describe node NODE",
		"sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max # on the node", "dmesg | grep conntrack # on the node"},
	Run: findConntrackFull,
	Doc: `The kernel of a node keeps a table of all connections that pass it, and needs an entry to lead a connection through a Service
or out of the cluster. When the table is full it drops the packets of new ones ("nf_conntrack: table full, dropping packet"). Then
names resolve sometimes, health checks fail, and connections time out, while those that stand go on.

Without a look at the nodes it is known only from **node-problem-detector**: the event ConntrackFull of its network-problem-monitor about the
node, of the last ten minutes, or a condition of that name. With --depth host the kernel itself tells: from 90 in 100 on the table has little room (a warning),
from 98 on it is full. Where the kernel has written that it dropped packets, the table is told as full at times if it is three quarters full now; if not, as
having been full, since it does not show how long ago that was.

**How it comes about**: a program that opens thousands of short connections, or queries DNS without a cache; a server behind a
Service that attracts them; a table that is small because kube-proxy may not set it (nf_conntrack_max is by default the larger of 32768
for each core and 131072).

**Cure**: find out what holds the entries (conntrack -L on the node). If the load is real, raise maxPerCore or min under conntrack in
kube-proxy's configuration and restart kube-proxy, which never lowers what the node has already.`,
}

const (
	conntrackFull = "ConntrackFull"
	tableFull     = "drops packets of new connections: its table of connections is full"
	// repeated is how old the newest event may be: the detector looks every 30 seconds.
	repeated = 10 * time.Minute
)

func findConntrackFull(s *facts.Snapshot) []checks.Finding {
	newest := map[string]*facts.Event{}
	for _, e := range s.EventsOf(conntrackFull) {
		if e.About.Kind == "Node" && e.Type == corev1.EventTypeWarning && s.Taken.Sub(e.Seen.Time()) < repeated {
			newest[e.About.Name] = e // they stand in the order of their times
		}
	}
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		f := tracked(host.Of(s, n.Name))
		var quotes []checks.Evidence
		if e := newest[n.Name]; e != nil {
			quotes = append(quotes, checks.Quote(e.About.String()+", event "+e.Reason, fmt.Sprintf("%s (%d times)", e.Message, e.Count)))
		}
		for i := range n.Status.Conditions {
			c := &n.Status.Conditions[i]
			if c.Status == corev1.ConditionTrue && c.Type == conntrackFull {
				quotes = append(quotes, checks.Quote("Node "+n.Name+", condition "+string(c.Type), c.Message))
			}
		}
		if len(quotes) > 0 {
			f.Severity, f.Message, f.Evidence = checks.Error, tableFull, append(quotes, f.Evidence...)
		}
		if f.Message == "" || silent(n) {
			continue
		}
		f.Subject = facts.NodeRef(n.Name)
		f.Remedy = "On the node, see what holds the entries (conntrack -L) and compare nf_conntrack_count with nf_conntrack_max; if the load is real, " +
			"raise conntrack.maxPerCore or conntrack.min in kube-proxy's configuration and restart kube-proxy."
		out = append(out, f)
	}
	return out
}
