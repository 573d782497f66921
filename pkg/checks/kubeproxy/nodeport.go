package kubeproxy

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NodePort finds nodes that answer NodePorts on no address that they are known by.
var NodePort = &checks.Check{
	ID:       "kube-proxy-nodeport",
	Title:    "NodePorts answer on the addresses of the nodes",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service/#service-nodeport-custom-listen-address",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods, facts.Nodes, facts.Services},
	MayUse:   []*facts.Source{facts.PodLogs},
	When:     noSettings,
	ByHand: []string{"kubectl -n kube-system get configmap kube-proxy -o yaml | grep -A3 nodePortAddresses", "kubectl get nodes -o wide",
		"kubectl get services -A | grep -E 'NodePort|LoadBalancer'"},
	Run: findNodePort,
	Doc: `nodePortAddresses names the ranges in which a node's addresses must lie to answer NodePorts. On a node that has none
there, NodePorts answer nowhere, and neither do load balancers that send to them. kube-proxy says nothing about it (old versions:
"Failed to get node ip address matching nodeport cidrs").

It is a warning where the ranges hold addresses of some nodes and none of others, or where kube-proxy's log complains. Where they hold
no node's, it is information: the API knows each node's InternalIP and ExternalIP, and not those of its further interfaces, which
may be what is meant. The ranges of an IP family in which no Service has a NodePort do not matter, and where there is none of
a family, all its addresses answer.

**How it comes about**: nodes were added in another network, the nodes' addresses were changed, or the range has a wrong mask.

**Cure**: add the range in which the nodes' addresses lie, or use the word ` + "`primary`" + ` (from 1.31 on), which stands for each
Node's own addresses; then restart the DaemonSet.`,
}

func findNodePort(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	var exposed map[bool]*corev1.Service
	for _, p := range proxies(s) {
		c := p.settings()
		if c == nil || len(c.NodePortAddresses) == 0 {
			continue
		}
		if exposed == nil {
			exposed = nodePorts(s)
		}
		for _, four := range []bool{true, false} {
			if svc := exposed[four]; svc != nil {
				out = append(out, p.unanswering(c, four, svc)...)
			}
		}
	}
	return once(out)
}

// nodePorts returns a Service with a NodePort for each IP family in which there is one.
func nodePorts(s *facts.Snapshot) map[bool]*corev1.Service {
	out := map[bool]*corev1.Service{}
	for _, svc := range s.Services {
		if svc.Labels["service.kubernetes.io/service-proxy-name"] != "" ||
			!slices.ContainsFunc(svc.Spec.Ports, func(port corev1.ServicePort) bool { return port.NodePort != 0 }) {
			continue
		}
		for _, ip := range facts.ClusterIPs(svc) {
			if a, err := netip.ParseAddr(ip); err == nil && out[a.Is4()] == nil {
				out[a.Is4()] = svc
			}
		}
	}
	return out
}

// ranges returns the ranges of a family, and none where every address answers: the list
// has no range of the family, all of it, or a word.
func ranges(list []string, four bool) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range list {
		cidr, err := netip.ParsePrefix(leadingZeros.ReplaceAllString(strings.TrimSpace(text), "$1$2"))
		if err != nil || cidr.Addr().Is4() == four && cidr.Bits() == 0 {
			return nil
		}
		if cidr.Addr().Is4() == four {
			out = append(out, cidr.Masked())
		}
	}
	return out
}

// unanswering reports the nodes with no address in the ranges of a family.
func (p *proxy) unanswering(c *settings, four bool, svc *corev1.Service) []checks.Finding {
	list := ranges(c.NodePortAddresses, four)
	if len(list) == 0 || !slices.ContainsFunc(list, func(r netip.Prefix) bool { return !r.Addr().IsLoopback() }) {
		return nil // to answer on loopback alone is a choice
	}
	var outside []*corev1.Node
	inside := 0
	for _, pod := range p.pods {
		n := p.s.Node(pod.Node)
		switch known, in := held(n, list, four); {
		case in:
			inside++
		case known:
			outside = append(outside, n)
		}
	}
	if len(outside) == 0 {
		return nil
	}
	f := checks.Finding{Subject: c.at.ref(), Severity: checks.Warning, Evidence: []checks.Evidence{c.quoteList("nodePortAddresses", c.NodePortAddresses)}}
	said, complains := p.complaint()
	switch {
	case inside > 0:
		f.Message = "leaves out nodes: nodePortAddresses holds none of their addresses, and they answer no NodePort there"
	case complains:
		f.Message = "lets no node answer NodePorts: nodePortAddresses holds no address of a node"
		f.Evidence = append(f.Evidence, said)
	default:
		f.Severity = checks.Info
		f.Message = "lets nodes answer NodePorts on no address that the API knows of them: nodePortAddresses must hold those of other interfaces"
	}
	for _, n := range outside {
		f.Places = append(f.Places, facts.NodeRef(n.Name))
		if len(f.Places) <= 2 {
			f.Evidence = append(f.Evidence, checks.Quote(facts.NodeRef(n.Name).String()+", addresses", addressesOf(n)))
		}
	}
	f.Evidence = append(f.Evidence, checks.Quote(facts.ServiceRef(svc).String()+", nodePort", fmt.Sprint(firstNodePort(svc))))
	f.Remedy = fmt.Sprintf("Add the range of the nodes' addresses to nodePortAddresses in key %s, or set it to [primary] (from 1.31 on), then restart kube-proxy: %s.",
		c.at.key, p.restart())
	return []checks.Finding{f}
}

// held tells whether a node has known addresses of a family, and whether one lies in the
// ranges.
func held(n *corev1.Node, list []netip.Prefix, four bool) (known, in bool) {
	if n == nil {
		return false, false
	}
	for _, a := range n.Status.Addresses {
		ip, err := netip.ParseAddr(a.Address)
		if err != nil || ip.Is4() != four {
			continue
		}
		known = true
		in = in || slices.ContainsFunc(list, func(r netip.Prefix) bool { return r.Contains(ip) })
	}
	return known, in
}

// noNodeIP is how older kube-proxies say that no address of the node lies in the ranges.
var noNodeIP = regexp.MustCompile(`(?i)failed to get node ip address matching nodeport cidr`)

// complaint quotes a kube-proxy that finds no address.
func (p *proxy) complaint() (checks.Evidence, bool) {
	for _, pod := range p.pods {
		for line := range strings.Lines(p.log(pod)) {
			if noNodeIP.MatchString(line) {
				return checks.QuoteLog(pod, "log", strings.TrimSpace(line)), true
			}
		}
	}
	return checks.Evidence{}, false
}

func firstNodePort(svc *corev1.Service) int32 {
	for _, port := range svc.Spec.Ports {
		if port.NodePort != 0 {
			return port.NodePort
		}
	}
	return 0
}

// quoteList quotes a list, which may stand on several lines.
func (c *settings) quoteList(field string, values []string) checks.Evidence {
	return checks.Quote(c.at.from(), field+": ["+strings.Join(values, ", ")+"]")
}
