package kubelet

import (
	"cmp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// DNSLimits finds resolver settings of which the kubelet leaves out a part, or hands on one that
// breaks pods.
var DNSLimits = &checks.Check{
	ID:       "kubelet-dns-limits",
	Title:    "Pods get the nameservers and search paths that are meant for them",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues",
	Needs:    []*facts.Source{facts.Events, facts.Nodes},
	MayUse:   []*facts.Source{facts.Pods, facts.Configz, facts.Files},
	Parts:    searchDotParts,
	ByHand: []string{"kubectl get events -A --field-selector reason=DNSConfigForming",
		"kubectl get events -A --field-selector reason=CheckLimitsForResolvConf",
		"grep -E '^(nameserver|search)' /etc/resolv.conf /run/systemd/resolve/resolv.conf # on the node",
		"kubectl exec POD -- cat /etc/resolv.conf"},
	Run: findDNSLimits,
	Doc: `A pod's resolv.conf holds at most 3 nameservers, 32 search paths, 2048 characters of search paths, and 253 in
each. What is more the kubelet leaves out, from the end, and says so in the event ` + "`DNSConfigForming`" + ` of the pod; of the node's own file
it says so in ` + "`CheckLimitsForResolvConf`" + ` when it starts. The event quotes the line that was applied.

**Search paths** that are left out make short names fail, in a way that differs from node to node. **Nameservers** that are left
out do no harm as a rule, since the first ones are asked anyway: it counts only if the omitted one alone knows some names. Typical
are nodes with the servers of two interfaces in their file, or with one server twice.

**The search path "."** stands in the file of nodes whose hostname is a full one: systemd-resolved writes it. The kubelet of 1.25.0 copies it into pods,
and programs built with musl (Alpine's images) then resolve no name; 1.25.1 and all others leave it out (kubernetes/kubernetes#112135). With --depth host the
file of such a node is read.

Cure: shorten the file that ` + "`resolvConf`" + ` of the kubelet names (the settings of netplan, NetworkManager or DHCP write it), or
` + "`dnsConfig`" + ` of the pod where the event is about pods that have one. Pods keep what they started with until they are re-created.`,
}

// limit is a kind of what is left out.
type limit struct {
	message, remedy string
	severity        checks.Severity
}

// limitOf reads the words of k8s.io/kubernetes pkg/kubelet/network/dns.
func limitOf(e *facts.Event) *limit {
	switch {
	case strings.HasPrefix(e.Message, "Search Line limits were exceeded"), strings.Contains(e.Message, "contains search line"),
		strings.Contains(e.Message, "contains a search path which length"):
		return &limit{"has more search paths than fit into a pod's resolv.conf: some are left out",
			"search paths: 32 at most, 3 of them the cluster's own, 2048 characters in all", checks.Warning}
	case strings.HasPrefix(e.Message, "Nameserver limits were exceeded"):
		return &limit{"has more than the 3 nameservers that fit into a pod's resolv.conf: the others are left out",
			"nameservers: 3 at most, those first that must be asked", checks.Info}
	}
	return nil
}

// day is how old what is left out may be.
const day = 24 * time.Hour

func findDNSLimits(s *facts.Snapshot) []checks.Finding {
	type about struct {
		subject facts.Ref
		message string
	}
	found := map[about]int{}
	var out []checks.Finding
	for _, reason := range []string{limitsEvent, "DNSConfigForming"} {
		for _, e := range s.EventsOf(reason) {
			l := limitOf(e)
			if l == nil || s.Taken.Sub(e.Seen.Time()) > day {
				continue
			}
			subject, where := origin(s, e)
			i, known := found[about{subject, l.message}]
			if !known {
				i = len(out)
				found[about{subject, l.message}] = i
				out = append(out, checks.Finding{Subject: subject, Severity: l.severity, Message: l.message,
					Remedy: "Shorten " + where + ": " + l.remedy + ". Then re-create the pods."})
			}
			if f := &out[i]; len(f.Evidence) < maxQuoted {
				f.Evidence = append(f.Evidence, checks.Quote(e.About.String()+", event "+e.Reason, e.Message))
			}
		}
	}
	return append(out, findSearchDot(s)...)
}

// origin returns whose settings are too long: the node's file, for a pod that gets what
// stands there, or else the pod's own, which its owner gives it.
func origin(s *facts.Snapshot, e *facts.Event) (subject facts.Ref, where string) {
	const file = "the file that resolvConf of the node's kubelet names"
	if e.About.Kind == "Node" {
		return e.About, file
	}
	p := s.Pod(e.About.Namespace, e.About.Name)
	if p == nil {
		return e.About, "dnsConfig of the pod, or " + file
	}
	inherits := p.DNSPolicy == corev1.DNSDefault || p.HostNetwork && p.DNSPolicy == corev1.DNSClusterFirst
	if node := cmp.Or(p.Node, e.Node); inherits && s.Node(node) != nil {
		return facts.NodeRef(node), file
	}
	if p.Owner.Kind != "" {
		return p.Owner, "dnsConfig of its pods, or " + file
	}
	return p.Ref(), "dnsConfig of the pod, or " + file
}
