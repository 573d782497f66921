package kubeproxy

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Bind finds one node's address given to the kube-proxies of all.
var Bind = &checks.Check{
	ID:       "kube-proxy-bind",
	Title:    "kube-proxy's bindAddress leaves each node its own address",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods, facts.Nodes},
	When:     noSettings,
	ByHand:   []string{"kubectl -n kube-system get configmap kube-proxy -o yaml | grep bindAddress", "kubectl get nodes -o wide"},
	Run:      findBind,
	Doc: `bindAddress does not say where kube-proxy listens: it is the address that kube-proxy takes for its node's own, in place of
the one that the Node object has. All nodes read the same ConfigMap. One address there makes every other node believe that it
has that address, too: with ` + "`nodePortAddresses: primary`" + ` (the default in mode nftables) NodePorts answer on the right
node only, the node's own traffic to load balancers with source ranges is judged by the wrong address, and an address of the
other IP family changes the family that comes first.

**How it comes about**: somebody wanted kube-proxy to listen on one interface. That is done by nodePortAddresses,
metricsBindAddress and healthzBindAddress. kubeadm warns of it in an upgrade.

**Cure**: set bindAddress to 0.0.0.0 (:: where IPv6 comes first), or take it out, then restart the DaemonSet.`,
}

func findBind(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		c := p.settings()
		if c == nil {
			continue
		}
		if ip, err := netip.ParseAddr(c.BindAddress); err == nil && !ip.IsUnspecified() {
			out = append(out, p.pinned(c)...)
		}
	}
	return once(out)
}

// pinned reports the nodes that do not have the address.
func (p *proxy) pinned(c *settings) []checks.Finding {
	f := checks.Finding{
		Subject:  c.at.ref(),
		Message:  fmt.Sprintf("sets bindAddress to %s, which kube-proxy takes for its own address on every node", c.BindAddress),
		Evidence: []checks.Evidence{c.quote("bindAddress", c.BindAddress)},
		Remedy:   fmt.Sprintf("Set bindAddress to 0.0.0.0 (:: where IPv6 comes first), then restart kube-proxy: %s.", p.restart()),
	}
	for _, pod := range p.pods {
		n := p.s.Node(pod.Node)
		if n == nil || len(n.Status.Addresses) == 0 || hasAddress(n, c.BindAddress) {
			continue
		}
		f.Places = append(f.Places, facts.NodeRef(n.Name))
		if len(f.Places) <= 2 {
			f.Evidence = append(f.Evidence, checks.Quote(facts.NodeRef(n.Name).String()+", addresses", addressesOf(n)))
		}
	}
	if len(f.Places) == 0 {
		return nil
	}
	return []checks.Finding{f}
}

func hasAddress(n *corev1.Node, ip string) bool {
	for _, a := range n.Status.Addresses {
		if facts.SameIP(a.Address, ip) {
			return true
		}
	}
	return false
}

func addressesOf(n *corev1.Node) string {
	out := ""
	for _, a := range n.Status.Addresses {
		if _, err := netip.ParseAddr(a.Address); err == nil {
			if out != "" {
				out += ", "
			}
			out += a.Address
		}
	}
	return out
}
