package traffic

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// UpstreamDead finds nodes whose nameservers do not answer pods.
var UpstreamDead = &checks.Check{
	ID:       "node-upstream-dns-dead",
	Title:    "The nameservers of each node answer its pods",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/#effects-on-pods",
	Needs:    []*facts.Source{facts.Tries},
	MayUse:   []*facts.Source{facts.Pods, facts.NetworkPolicies},
	Parts:    tries.Parts(unasked),
	When:     nameless,
	Explains: []*checks.Check{coredns.UpstreamFailing, coredns.PodOutside, symptom.DNSProbeExternal},
	ByHand: []string{"cat /etc/resolv.conf /run/systemd/resolve/resolv.conf # on the node",
		`kubectl run d --rm -it --restart=Never --image=busybox:1.36 --overrides='{"spec":{"nodeName":"NODE","dnsPolicy":"Default"}}' -- nslookup example.com`},
	Run: unless(findUpstreamDead),
	Doc: `Pods with ` + "`dnsPolicy: Default`" + ` get the nameservers of their node's resolv.conf. CoreDNS is one of them, and forwards to these servers what it
does not know itself, unless its Corefile names others. A pod like that on each of some nodes asked them for a name outside the cluster. Whatever came back, an error
included, is an answer. Loopback addresses are left out: they are **kubelet-resolvconf-loopback**.

**No answer on some nodes**, while others get one: a firewall, a VPN or a route of these nodes, or pods' addresses that are not masqueraded there. **No
answer on any node**: the servers, or what is between all pods and them; in a cluster without any way out it may be an entry that nobody took out. That is
a warning, and so is a server that is silent beside one that answers: questions that go to it first wait for seconds.

**Cure**: ask the server from the node itself. If the node gets an answer and pods get none, look at masquerading and at firewalls that know the nodes'
addresses alone. If neither does, write servers that answer into the file that the kubelet hands on, and re-create the CoreDNS pods, which
keep what they started with.`,
}

// nameless says that the nodes that tried name no server to their pods.
func nameless(s *facts.Snapshot) string {
	upstream := func(t facts.Try) bool { return t.Target == facts.TargetUpstream }
	if len(s.Tries) > 0 && !slices.ContainsFunc(s.Tries, upstream) {
		return "the nodes give their pods no nameserver, or loopback addresses alone"
	}
	return ""
}

// unasked says that a node's servers were known, and its pod did not come to ask them.
func unasked(s *facts.Snapshot, node string) string {
	mine := func(t facts.Try) bool { return t.Node == node && t.Target == facts.TargetUpstream }
	if slices.ContainsFunc(s.Tries, mine) && len(tries.From(s, node, facts.TargetUpstream)) == 0 {
		return "the time was over before its nameservers were asked"
	}
	return ""
}

// servers holds what one node's pod tried of each nameserver, by address.
type servers map[string][]facts.Try

func serversOf(s *facts.Snapshot, node string) servers {
	out := servers{}
	for _, t := range tries.From(s, node, facts.TargetUpstream) {
		out[t.To] = append(out[t.To], t)
	}
	return out
}

// silent returns those that do not answer: over UDP, by which nearly all questions are
// asked, or at all.
func (v servers) silent() []string {
	var out []string
	for _, to := range slices.Sorted(maps.Keys(v)) {
		asked := v[to]
		if i := slices.IndexFunc(asked, func(t facts.Try) bool { return t.Kind == facts.TryDNSUDP }); i >= 0 {
			asked = asked[i : i+1]
		}
		if asked[0].Dead() {
			out = append(out, to)
		}
	}
	return out
}

func findUpstreamDead(s *facts.Snapshot) []checks.Finding {
	all, some := []string{}, false // nodes without any answer; whether there are others
	byNode := map[string]servers{}
	for _, node := range tries.Nodes(s) {
		v := serversOf(s, node)
		if len(v) == 0 {
			continue
		}
		byNode[node] = v
		if len(v.silent()) == len(v) {
			all = append(all, node)
		} else {
			some = true
		}
	}
	var out []checks.Finding
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		v := byNode[node]
		silent := v.silent()
		if len(silent) == 0 {
			continue
		}
		f := checks.Finding{Subject: facts.NodeRef(node), Remedy: fmt.Sprintf("Ask %s from the node itself: if it gets an answer there, see what is between it and pods (masquerading, firewalls); "+
			"if not, name servers that answer in the node's resolv.conf, and re-create the CoreDNS pods.", addresses(silent)) + tries.Rulers(s)}
		for _, to := range silent {
			f.Evidence = append(f.Evidence, tries.Quotes(v[to], shown)...)
		}
		switch {
		case len(silent) < len(v):
			f.Severity, f.Message = checks.Warning, fmt.Sprintf("has a nameserver that does not answer its pods, %s, beside one that does", addresses(silent))
		case !some:
			f.Severity, f.Message = checks.Warning, "has only nameservers that do not answer its pods, as have all nodes that were asked"
		default:
			f.Message = "has only nameservers that do not answer its pods"
			f.Evidence = append(f.Evidence, elsewhere(byNode, all)...)
		}
		out = append(out, f)
	}
	return out
}

// elsewhere quotes an answer that another node got.
func elsewhere(byNode map[string]servers, but []string) []checks.Evidence {
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		if slices.Contains(but, node) {
			continue
		}
		for _, to := range slices.Sorted(maps.Keys(byNode[node])) {
			if t := byNode[node][to][0]; !t.Dead() {
				return []checks.Evidence{tries.Quote(t)}
			}
		}
	}
	return nil
}

// addresses names the first servers, without their port.
func addresses(list []string) string {
	var out []string
	for _, to := range list[:min(len(list), 3)] {
		host, _, err := net.SplitHostPort(to)
		if err != nil {
			host = to
		}
		out = append(out, host)
	}
	return strings.Join(out, ", ")
}
