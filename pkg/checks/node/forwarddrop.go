package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// ForwardDrop finds nodes whose packet filters drop what pods send each other.
var ForwardDrop = &checks.Check{
	ID:       "node-forward-drop",
	Title:    "The packet filters of nodes let pass what pods send each other",
	Severity: checks.Error,
	URL:      "https://github.com/flannel-io/flannel/blob/master/Documentation/troubleshooting.md",
	Needs:    []*facts.Source{facts.Files, facts.Nodes},
	MayUse:   []*facts.Source{facts.Pods, facts.DaemonSets, facts.ConfigMaps},
	Parts:    forwardDropParts,
	When:     plugins.PastFirewall,
	Explains: []*checks.Check{coredns.APIUnreachable, coredns.NotSynced, coredns.UpstreamFailing, coredns.PodOutside, traffic.PodToPod, traffic.PodToNode, traffic.PodToKubelet},
	ByHand: []string{"iptables-save | grep -E '^:FORWARD|^-A FORWARD' # on the node", "iptables-legacy-save | grep FORWARD # on the node",
		"nft list ruleset | grep -A20 'hook forward' # on the node", "firewall-cmd --list-all-zones # on the node, where firewalld runs",
		"ufw status verbose # on the node, where ufw is used"},
	Run: findForwardDrop,
	Doc: `What a pod sends to another node, and what comes from there, passes every chain that hooks into "forward" in the kernel of the node.
**Each of them can drop it, whatever the others accept**: iptables and nftables know nothing of each other, nor does one table of
nftables of another.

The rules of each chain, and of those that it leads to, are followed for connections between the node's pods and those of another
node, in both directions, over TCP and UDP, to an address of a pod and through a Service, and for the answers. It is found if all of
that of one kind is dropped. Rules about single ports or addresses are left out, and so is what chains of a network plugin decide. A
rule that cannot be judged here (a set, a mark of somebody else's) makes the answer unknown if it depends on that.

A policy DROP of iptables' own chain is no fault by itself: Docker and ufw set it, and Flannel and other plugins accept their pods'
packets before it. kube-proxy does not: it accepts only connections through Services that it gave another source.

**How it comes about**: firewalld refuses what leaves by an interface that was given to no zone, as the plugin's are (what goes
through a Service it lets pass: then names resolve, and pods do not reach each other by address). Docker or ufw set the policy, and
the plugin has no rules of its own, or lost them when somebody cleared or restored rules. A hardening script wrote a table of its
own.

**Cure**: let the pods' range through where it is dropped. firewalld:
` + "`firewall-cmd --permanent --zone=trusted --add-source=POD-RANGE`" + `, the same for the Services' range, then ` + "`--reload`" + `. ufw:
` + "`ufw default allow routed`" + ` or ` + "`ufw route allow from POD-RANGE`" + `. Docker: an ACCEPT for the range in DOCKER-USER. Or switch that
firewall off on the nodes. Then re-create pods which gave up.`,
}

// flow is a kind of packets that a node forwards.
type flow struct {
	words  string
	packet host.Packet
}

// flows returns what a node must forward between two ranges of pods: first what needs no
// Service, then the same through one.
func flows(w way, routes []host.Route) (direct, service []flow) {
	ownDevs, otherDevs := host.DevsTo(routes, w.own), host.DevsTo(routes, w.other)
	out := host.Packet{From: w.own, To: w.other, In: ownDevs, Out: otherDevs}
	in := host.Packet{From: w.other, To: w.own, In: otherDevs, Out: ownDevs}
	for _, proto := range []string{"tcp", "udp"} {
		for _, p := range []host.Packet{out, in} {
			p.Proto = proto
			name := fmt.Sprintf("%s from %s to %s", strings.ToUpper(proto), p.From, p.To)
			direct = append(direct, flow{name, p})
			p.Reply = true
			direct = append(direct, flow{name + ", answers", p})
			p.Reply, p.Translated = false, true
			service = append(service, flow{name + " through a Service", p})
		}
	}
	return direct, service
}

func forwardDropParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	w := waysOf(s)
	for _, n := range w.nodes {
		v := host.Of(s, n.Name)
		dropped := false
		var files []string
		lacks := garbled(v)
		for _, way := range w.from(n.Name) {
			files = append(files, host.FirewallFiles(way.own.Addr().Is6())...)
			j := judge(v, way)
			dropped = dropped || len(j.dropped) > 0
			if j.unsure.Text != "" {
				lacks = append(lacks, checks.Part{Source: facts.Files, Key: n.Name, Lacks: fmt.Sprintf("cannot tell what becomes of pods' packets by %s: %s", j.unsure.File, j.unsure.Text)})
			}
		}
		switch {
		case len(files) == 0: // no pod is there, as far as is known
			out = append(out, checks.Files(s, n.Name)...)
			out = append(out, w.unplaced(s, n.Name)...)
		case !dropped:
			slices.Sort(files)
			out = append(out, checks.Files(s, n.Name, append(slices.Compact(files), host.RouteFile)...)...)
			out = append(out, lacks...)
		}
	}
	return out
}

// judgement is what becomes of the packets of one way.
type judgement struct {
	dropped []flow
	rulings []host.Ruling // of what is dropped, in the same order
	spared  bool          // what goes through Services passes
	unsure  host.Ruling   // the first that is undecided
}

func judge(v host.View, w way) (j judgement) {
	routes, _ := v.Routes()
	firewall := v.Firewall(w.own.Addr().Is6())
	direct, service := flows(w, routes)
	j.spared = true
	for i, t := range append(direct, service...) {
		r := firewall.Forward(t.packet)
		switch {
		case r.Verdict == host.Dropped:
			j.dropped, j.rulings = append(j.dropped, t), append(j.rulings, r)
		case r.Verdict == host.Undecided && j.unsure.Text == "":
			j.unsure = r
		}
		j.spared = j.spared && (i < len(direct) || r.Verdict == host.Accepted)
	}
	return j
}

func findForwardDrop(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	w := waysOf(s)
	for _, n := range w.nodes {
		v := host.Of(s, n.Name)
		for _, way := range w.from(n.Name) {
			if j := judge(v, way); len(j.dropped) > 0 {
				out = append(out, forwardDropped(n.Name, way, j))
				break
			}
		}
	}
	return out
}

func forwardDropped(node string, w way, j judgement) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(node),
		Message: "drops what its pods and those of other nodes send each other",
		Remedy:  "Let the ranges of pods and Services through in the configuration of whatever wrote the quoted rule on the node (Docker, ufw, a script of yours), or take it away.",
	}
	if w.own == w.other {
		f.Message = "drops what its pods send each other"
	}
	if j.spared {
		f.Message += ", except for what goes through Services"
	}
	if strings.Contains(j.rulings[0].Text, "firewalld") {
		f.Remedy = "On the node: firewall-cmd --permanent --zone=trusted --add-source=RANGE for the range of all pods and that of Services, then firewall-cmd --reload. Or switch firewalld off on the nodes."
	}
	quoted := map[string]bool{}
	for i, t := range j.dropped {
		r := j.rulings[i]
		if !quoted[r.Text] {
			quoted[r.Text] = true
			f.Evidence = append(f.Evidence, checks.QuoteFile(node, r.File+", for "+t.words, r.Text))
		}
	}
	return f
}
