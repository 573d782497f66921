// Package tries reads what pods tried that were made for it: what "check --depth probe"
// brought, or a bundle holds. Everything in it is a pure function of a snapshot. What a
// node's pod printed is hostile: what makes no sense is left out.
package tries

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// refused is how an attempt ends where a packet came back that says so: the way is open.
const refused = "connection refused"

// stalled begins how an attempt ends that connected (pkg/agent).
const stalled = "connected, but "

// Of returns what pods with a network of their own tried, as far as they came to it, that
// fits.
func Of(s *facts.Snapshot, fits func(facts.Try) bool) []facts.Try {
	var out []facts.Try
	for _, t := range s.Tries {
		if !t.Host && t.Node != "" && t.Sent > 0 && t.Lost >= 0 && t.Lost <= t.Sent && t.Size >= 0 && fits(t) {
			out = append(out, t)
		}
	}
	return out
}

// From returns what the pod of a node tried with targets of some kinds.
func From(s *facts.Snapshot, node string, targets ...facts.TryTarget) []facts.Try {
	return Of(s, func(t facts.Try) bool { return t.Node == node && slices.Contains(targets, t.Target) })
}

// Nodes returns the nodes that were to try, those included that a gap tells of.
func Nodes(s *facts.Snapshot) []string {
	var out []string
	for _, t := range s.Tries {
		if t.Node != "" {
			out = append(out, t.Node)
		}
	}
	for key := range s.Gaps {
		if node, found := strings.CutPrefix(key, facts.Tries.Name+"/"); found {
			out = append(out, node)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Parts names what the pod of each node was to try as parts that must be known. Where
// policies may be what was found (Held), nothing is; lacks says of a node what else is
// missing for a check's question, or "".
func Parts(lacks func(s *facts.Snapshot, node string) string) func(*facts.Snapshot) []checks.Part {
	return func(s *facts.Snapshot) []checks.Part {
		nodes, held := Nodes(s), Held(s)
		if len(nodes) == 0 {
			return []checks.Part{{Source: facts.Tries, Key: "any node"}}
		}
		out := make([]checks.Part, 0, len(nodes))
		for _, node := range nodes {
			part := checks.Part{Source: facts.Tries, Key: node, Lacks: held}
			if held == "" {
				part.Lacks = lacks(s, node)
			}
			out = append(out, part)
		}
		return out
	}
}

// Reached tells whether anything came back, be it that nobody listens.
func Reached(t facts.Try) bool { return !t.Dead() || Refused(t) || Stalled(t) }

// Refused tells whether the last attempt was refused: a packet came there and back.
func Refused(t facts.Try) bool { return t.Dead() && t.Err == refused }

// Stalled tells whether connections were made and no attempt brought more through.
func Stalled(t facts.Try) bool { return t.Dead() && strings.HasPrefix(t.Err, stalled) }

// Mute tells whether pods of a node reached no machine but their own, of those that they
// tried: neither kubelets of other nodes nor API servers, nor one of these by their Service.
// Kubelets alone tell nothing: a firewall may keep pods from them on purpose.
func Mute(s *facts.Snapshot, node string) bool {
	if slices.ContainsFunc(From(s, node, facts.TargetAPIService), func(t facts.Try) bool { return !t.Dead() }) {
		return false
	}
	out := From(s, node, facts.TargetNode, facts.TargetAPIServer)
	out = slices.DeleteFunc(out, func(t facts.Try) bool { return t.ToNode == node })
	return slices.ContainsFunc(out, func(t facts.Try) bool { return t.Target == facts.TargetAPIServer }) && !slices.ContainsFunc(out, Reached)
}

// Overhead is what the heads of IP and UDP add to what a packet carries, in bytes.
func Overhead(t facts.Try) int {
	host, _, _ := net.SplitHostPort(t.To)
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return 48
	}
	return 28
}

// Quote tells what was tried and what came of it.
func Quote(t facts.Try) checks.Evidence {
	return checks.Quote("A pod on Node "+t.Node, t.String()+whose(t)+": "+outcome(t))
}

// Quotes tells of the first few.
func Quotes(list []facts.Try, most int) []checks.Evidence {
	var out []checks.Evidence
	for _, t := range list[:min(len(list), most)] {
		out = append(out, Quote(t))
	}
	return out
}

// whose says what an address is.
func whose(t facts.Try) string {
	text := ""
	switch t.Target {
	case facts.TargetPod:
		text = "a pod"
	case facts.TargetNode:
		text = "the kubelet"
	case facts.TargetAPIService:
		text = "the API server's Service"
	case facts.TargetAPIServer:
		text = "an API server"
	case facts.TargetDNSService:
		text = "the DNS Service"
	case facts.TargetDNSPod:
		text = "a DNS pod"
	case facts.TargetOwnService:
		text = "a Service of its own"
	case facts.TargetLocalService:
		text = "the Service of the pod beside it"
	case facts.TargetUpstream:
		text = "a nameserver of the node"
	default:
		return ""
	}
	if t.ToNode != "" {
		text += " on Node " + t.ToNode
	}
	return " (" + text + ")"
}

func outcome(t facts.Try) string {
	switch {
	case t.Kind == facts.TryMTU && t.Size > 0:
		return fmt.Sprintf("packets of up to %d bytes come through whole", t.Size+Overhead(t))
	case Stalled(t):
		return t.Err
	case t.Dead():
		return fmt.Sprintf("%d of %d in vain, %s", t.Lost, t.Sent, t.Err)
	case t.Lost > 0:
		return fmt.Sprintf("%s, and %d of %d lost", answered(t), t.Lost, t.Sent)
	}
	return answered(t)
}

func answered(t facts.Try) string {
	if t.Rcode != "" {
		return "answered " + t.Rcode
	}
	return "answered"
}
