package traffic

import (
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// how says by what pods do not reach each other.
func how(trouble tries.Trouble) string {
	switch trouble {
	case tries.NoUDP:
		return " over UDP, while TCP works"
	case tries.NoTCP:
		return " over TCP, while UDP works"
	}
	return ""
}

// message says where pods do not reach each other. local tells that it is the same on the
// nodes themselves.
func message(f tries.Fault, trouble tries.Trouble, local bool) string {
	if trouble == tries.Stalls {
		return stalls(f)
	}
	even := ""
	if local {
		even = ", not even on the node itself"
	}
	switch f.Place {
	case tries.Everywhere:
		if local {
			return "lets no pod reach another one, not even on the same node" + how(trouble)
		}
		return "lets no pod reach a pod on another node" + how(trouble)
	case tries.Around:
		return fmt.Sprintf("is cut off: its pods reach no others%s, and no pod on other nodes reaches them%s", even, how(trouble))
	case tries.Out:
		return "runs pods that reach no pod on other nodes" + how(trouble) + ": those reach them"
	case tries.In:
		return fmt.Sprintf("runs pods that no other pod reaches%s%s: they reach those on other nodes", even, how(trouble))
	case tries.Zones:
		return "lets no pod reach a pod in another zone" + how(trouble)
	}
	switch node, in := end(f); {
	case in:
		return "runs pods that those on some other nodes do not reach" + how(trouble) + ": " + list(f.Pairs)
	case node != "":
		return "runs pods that do not reach those on some other nodes" + how(trouble) + ": " + list(f.Pairs)
	}
	return "does not let pods reach each other on some ways between nodes" + how(trouble) + ": " + list(f.Pairs)
}

func stalls(f tries.Fault) string {
	switch f.Place {
	case tries.Everywhere:
		return "lets connections between pods of different nodes stall as soon as they carry data"
	case tries.Around:
		return "lets connections between its pods and those on other nodes stall as soon as they carry data"
	case tries.Out:
		return "runs pods whose connections to pods on other nodes stall as soon as they carry data"
	case tries.In:
		return "lets connections from pods on other nodes to its own stall as soon as they carry data"
	case tries.Zones:
		return "lets connections between pods of different zones stall as soon as they carry data"
	}
	switch node, in := end(f); {
	case in:
		return "lets connections to its pods stall as soon as they carry data, from some other nodes: " + list(f.Pairs)
	case node != "":
		return "runs pods whose connections to those on some other nodes stall as soon as they carry data: " + list(f.Pairs)
	}
	return "lets connections between pods stall as soon as they carry data, on some ways between nodes: " + list(f.Pairs)
}

func withinWords(trouble tries.Trouble) string {
	if trouble == tries.Stalls {
		return "lets connections between its own pods stall as soon as they carry data"
	}
	return "runs pods that do not reach each other on the node itself" + how(trouble)
}

// remedy says where to look.
func (v view) remedy(f tries.Fault, trouble tries.Trouble) string {
	text := "See what carries the pods' packets between the machines: the port of the plugin's overlay, or routes to the nodes' pod ranges and a cloud that lets them through; " +
		"then the firewalls of the nodes."
	switch {
	case trouble == tries.Stalls:
		text = "Turn off that the plugin's interface leaves checksums to the machine's (ethtool -K flannel.1 tx-checksum-ip-generic off, with the name that it has there), " +
			"and see whether it helps; else look for a firewall that drops what is large or belongs to connections that it has not seen."
	case trouble == tries.NoUDP:
		text = "Look for a rule that drops UDP where pods' packets pass: iptables -S, nft list ruleset on the nodes, security groups, policies."
	case trouble == tries.NoTCP:
		text = "Look for a rule that drops TCP where pods' packets pass: iptables -S, nft list ruleset on the nodes, security groups, policies."
	case f.Node != "":
		text = fmt.Sprintf("Look on Node %s at net.ipv4.ip_forward, at rules that drop what is forwarded (iptables -S FORWARD; nft list ruleset), at its firewall and at the log of the "+
			"plugin's agent there.", f.Node)
	case f.Place == tries.Zones:
		text = "Let what the network plugin sends between the nodes through between the zones: security groups, route tables, peerings."
	case f.Place == tries.Between && v.answersBack(f.Pairs[0]):
		p := f.Pairs[0]
		text = fmt.Sprintf("The other way round it works, so packets get there and back: look on Node %s, then on Node %s, for a rule that drops new connections alone.", p.To, p.From)
	}
	return text + tries.Rulers(v.Snapshot)
}

// answersBack tells whether the way back works.
func (v view) answersBack(p tries.Pair) bool {
	back := v.links[tries.Pair{From: p.To, To: p.From}]
	return back != nil && back.Trouble() == 0 && len(back.Works()) > 0
}
