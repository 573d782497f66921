package node

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// settling is how old a node must be before what its plugin and its cloud write about it
// counts.
const settling = 2 * time.Minute

// FlannelPublicIP finds nodes to which flannel leads the traffic of another node's pods.
var FlannelPublicIP = &checks.Check{
	ID:       "flannel-public-ip",
	Title:    "Flannel knows each node by an address of its own",
	Severity: checks.Error,
	URL:      "https://github.com/flannel-io/flannel/blob/master/Documentation/troubleshooting.md#vagrant",
	Needs:    []*facts.Source{facts.Nodes, facts.Pods, facts.DaemonSets},
	When:     noFlannel,
	Explains: []*checks.Check{traffic.PodToPod},
	ByHand: []string{`kubectl get nodes -o custom-columns='NODE:.metadata.name,PUBLIC-IP:.metadata.annotations.flannel\.alpha\.coreos\.com/public-ip,ADDRESSES:.status.addresses[*].address'`,
		"bridge fdb show dev flannel.1 # on a node: where it sends the packets for each other node"},
	Run: findPublicIP,
	Doc: `When it starts on a node, flannel writes into the annotation ` + "`flannel.alpha.coreos.com/public-ip`" + ` (public-ipv6) the address by
which the others reach it, and each other node sends the packets for the pods there to that address. Where two nodes have the
same one, the packets for the pods of one arrive at the other machine, which drops them. All pods are Ready, connections between
pods of different nodes time out, and about every second name fails to resolve where CoreDNS runs on the wrong side.

How it comes about: flannel takes the interface of the default route unless it is told otherwise. Virtual machines of Vagrant and
VirtualBox have 10.0.2.15 on it, all of them. Or somebody wrote the annotation, or ` + "`public-ip-overwrite`" + `, by hand or by a template.

An address that is none of the node's own, where all other nodes have their own, is told as information: flannel may be meant to
use another network.

Cure: give flannel the interface by which the nodes reach each other, ` + "`--iface=eth1`" + ` or ` + "`--iface-regex`" + ` in the arguments of its
DaemonSet; for one node, correct or remove ` + "`public-ip-overwrite`" + `. When its pod on the node starts anew, flannel writes the annotation
again.`,
}

// overlay lists the backends that send packets to the address of the annotation; others
// leave routes to the cloud (flannel pkg/backend).
func overlay(backend string) bool {
	return slices.Contains([]string{"vxlan", "host-gw", "wireguard", "ipip", "ipsec", "udp"}, backend)
}

// tunnelEnd is the address by which flannel reaches a node, of one family.
type tunnelEnd struct {
	node       *corev1.Node
	ip         netip.Addr
	annotation string // its name without the prefix
	own        bool   // whether the node says that it has this address
}

func findPublicIP(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, annotation := range []string{"public-ip", "public-ipv6"} {
		ends := tunnelEnds(s, annotation)
		shared, strange := map[netip.Addr][]tunnelEnd{}, 0
		for _, e := range ends {
			shared[e.ip] = append(shared[e.ip], e)
			if !e.own {
				strange++
			}
		}
		owner := owners(s)
		for _, e := range ends {
			others := shared[e.ip]
			switch {
			case len(others) > 1 && !e.alone(others):
				out = append(out, e.sameAs(others))
			case !e.own && owner[e.ip] != "":
				out = append(out, e.belongsTo(owner[e.ip]))
			case !e.own && strange == 1 && len(ends) > 2 && !e.asked():
				out = append(out, e.strange())
			}
		}
	}
	return out
}

// tunnelEnds leaves out nodes of which nothing is heard: a machine that got another name
// has left one with its address behind.
func tunnelEnds(s *facts.Snapshot, annotation string) []tunnelEnd {
	var out []tunnelEnd
	for _, n := range s.Nodes {
		ip, err := netip.ParseAddr(n.Annotations[flannelPrefix+annotation])
		counts := n.Annotations[flannelPrefix+"kube-subnet-manager"] == "true" && overlay(n.Annotations[flannelPrefix+"backend-type"])
		if err != nil || !counts || silent(n) || s.Taken.Sub(n.CreationTimestamp.Time) < settling {
			continue
		}
		own := slices.Contains(addressesOf(n, corev1.NodeInternalIP, corev1.NodeExternalIP), ip.Unmap())
		out = append(out, tunnelEnd{n, ip.Unmap(), annotation, own})
	}
	return out
}

// owners tells by which node an address inside the cluster is meant.
func owners(s *facts.Snapshot) map[netip.Addr]string {
	out := map[netip.Addr]string{}
	for _, n := range s.Nodes {
		for _, ip := range addressesOf(n, corev1.NodeInternalIP) {
			if !silent(n) {
				out[ip] = n.Name
			}
		}
	}
	return out
}

// alone tells whether the node is the only one of those with the same annotation whose
// address it is: it is not at fault.
func (e tunnelEnd) alone(shared []tunnelEnd) bool {
	return e.own && !slices.ContainsFunc(shared, func(o tunnelEnd) bool { return o.own && o.node != e.node })
}

// asked tells whether somebody chose the address for this node.
func (e tunnelEnd) asked() bool {
	return e.node.Annotations[flannelPrefix+e.annotation+"-overwrite"] != "" || e.node.Annotations[flannelPrefix+"node-"+e.annotation] != ""
}

func (e tunnelEnd) sameAs(others []tunnelEnd) checks.Finding {
	f := e.finding("has the same flannel public-ip as another node: packets for pods of one go to the other")
	for _, o := range others[:min(len(others), maxQuoted)] {
		if o.node != e.node {
			f.Evidence = append(f.Evidence, o.quote())
		}
	}
	return f
}

func (e tunnelEnd) belongsTo(node string) checks.Finding {
	f := e.finding("has the address of another node as flannel public-ip: packets for its pods go there")
	f.Evidence = append(f.Evidence, checks.Quote("Node "+node, "InternalIP: "+e.ip.String()))
	return f
}

func (e tunnelEnd) strange() checks.Finding {
	f := e.finding("has a flannel public-ip that is none of its addresses")
	f.Severity = checks.Info
	return f
}

func (e tunnelEnd) finding(message string) checks.Finding {
	remedy := "Delete the pod of flannel on this node: when it starts anew, it writes the node's own address. " +
		"If the same one is back, name the interface by which the nodes reach each other with --iface in flannel's arguments."
	switch {
	case e.node.Annotations[flannelPrefix+e.annotation+"-overwrite"] == e.ip.String():
		remedy = "Correct the annotation " + flannelPrefix + e.annotation + "-overwrite of the node, or remove it, and delete the pod of flannel there."
	case e.own:
		remedy = "Name the interface by which the nodes reach each other with --iface in flannel's arguments, " +
			"and its address with --node-ip in those of the kubelets: the nodes have " + e.ip.String() + " in common."
	}
	var has []string
	for _, a := range e.node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
			has = append(has, string(a.Type)+" "+a.Address)
		}
	}
	return checks.Finding{Subject: facts.NodeRef(e.node.Name), Message: message, Remedy: remedy, Evidence: []checks.Evidence{
		e.quote(), checks.Quote("Node "+e.node.Name+", status.addresses", strings.Join(has, ", ")),
	}}
}

func (e tunnelEnd) quote() checks.Evidence {
	return checks.Quote("Node "+e.node.Name+", annotation "+flannelPrefix+e.annotation, e.ip.String())
}

// FlannelKeepsIP says why flannel on a node writes the same wrong address again when its pod
// is made anew, or "" where it does not.
func FlannelKeepsIP(s *facts.Snapshot, node string) string {
	for _, annotation := range []string{"public-ip", "public-ipv6"} {
		for _, e := range tunnelEnds(s, annotation) {
			switch {
			case e.node.Name != node:
			case e.node.Annotations[flannelPrefix+annotation+"-overwrite"] == e.ip.String():
				return "the annotation " + flannelPrefix + annotation + "-overwrite of the node tells it to"
			case e.own:
				return "the nodes have " + e.ip.String() + " in common, on the interface that flannel takes"
			}
		}
	}
	return ""
}
