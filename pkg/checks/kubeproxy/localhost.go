package kubeproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// LocalhostNodePort finds that NodePorts are to answer on loopback addresses and cannot.
var LocalhostNodePort = &checks.Check{
	ID:       "kube-proxy-localhost-nodeport",
	Title:    "NodePorts that are to answer on localhost can do so",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#migrating-from-iptables-mode-to-nftables",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods},
	When:     noSettings,
	ByHand: []string{"kubectl -n kube-system get configmap kube-proxy -o yaml | grep -E -A3 'nodePortAddresses|localhostNodePorts|mode:'",
		"curl 127.0.0.1:NODEPORT # on the node"},
	Run: findLocalhostNodePort,
	Doc: `nodePortAddresses names loopback addresses (127.0.0.0/8, ::1, the word localhost), so somebody wants NodePorts to answer
there: an image registry that nodes ask at localhost, say. Only mode iptables does that, only for IPv4, and only while
iptables.localhostNodePorts is not false. In mode ipvs loopback addresses are left out. In mode nftables they are, too, unless the
feature gate KubeProxyNFTablesLocalhostNodePorts is on (alpha in 1.37, TCP alone).

**How it comes about**: the mode was changed from iptables to another; localhostNodePorts was set to false to keep other
machines from reaching services on 127.0.0.1 through route_localnet; or IPv6 was added.

**Cure**: let who asks at localhost ask the node's own address or the Service. Or take the loopback range out of
nodePortAddresses, where nobody asks there.`,
}

// localhostGate is the feature gate with which mode nftables serves localhost.
const localhostGate = "KubeProxyNFTablesLocalhostNodePorts"

func findLocalhostNodePort(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		c := p.settings()
		if c == nil {
			continue
		}
		four, six := loopback(c.NodePortAddresses)
		why, field, value := "", "mode", c.mode()
		switch {
		case !four && !six:
			continue
		case c.mode() == "nftables" && (c.FeatureGates[localhostGate] || slices.ContainsFunc(p.flags(), func(w string) bool { return strings.Contains(w, localhostGate+"=true") })):
			continue
		case c.mode() != "iptables":
			why = fmt.Sprintf("which mode %s leaves out", c.mode())
		case four && c.IPTables.LocalhostNodePorts != nil && !*c.IPTables.LocalhostNodePorts:
			why, field, value = "which localhostNodePorts: false leaves out", "localhostNodePorts", "false"
		case !four:
			why = "which mode iptables leaves out of IPv6"
		default:
			continue
		}
		out = append(out, checks.Finding{
			Subject:  c.at.ref(),
			Message:  "wants NodePorts to answer on loopback addresses, " + why,
			Evidence: []checks.Evidence{c.quoteList("nodePortAddresses", c.NodePortAddresses), c.quote(field, value)},
			Remedy: fmt.Sprintf("Let who asks at localhost ask the node's address instead; or take the loopback range out of nodePortAddresses in key %s, then: %s.",
				c.at.key, p.restart()),
		})
	}
	return once(out)
}

// loopback tells in which families a list names loopback addresses themselves. A range
// that holds others as well (0.0.0.0/0) names none.
func loopback(list []string) (four, six bool) {
	for _, text := range list {
		cidr, err := netip.ParsePrefix(strings.TrimSpace(text))
		switch {
		case text == "localhost":
			four, six = true, true
		case err != nil || !cidr.Masked().Addr().IsLoopback():
		case cidr.Addr().Is4():
			four = true
		default:
			six = true
		}
	}
	return four, six
}
