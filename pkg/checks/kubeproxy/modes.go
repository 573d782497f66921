package kubeproxy

import (
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// IPVSDeprecated tells of the end of mode ipvs.
var IPVSDeprecated = &checks.Check{
	ID:       "kube-proxy-ipvs-deprecated",
	Title:    "kube-proxy's mode is one that has a future",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-ipvs",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods},
	When:     noSettings,
	ByHand:   []string{"kubectl -n kube-system get configmap kube-proxy -o yaml | grep mode:", "kubectl get events -A --field-selector reason=IPVSDeprecation"},
	Run:      findIPVSDeprecated,
	Doc: `Mode ipvs is deprecated since Kubernetes 1.35. It works, and each kube-proxy says at its start that it will be off
by default in 1.40 and gone in 1.43 (event IPVSDeprecation on the Node).

**Cure**: move to mode nftables before then, on nodes with a kernel from 5.13 on, or to iptables. Before that look at what
differs: nftables answers NodePorts on a node's main addresses only, as long as nodePortAddresses is not set, and not on
127.0.0.1.`,
}

// ModeUnset tells that the default mode is about to change.
var ModeUnset = &checks.Check{
	ID:       "kube-proxy-mode-unset",
	Title:    "kube-proxy's mode is chosen, not left to its version",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-modes",
	Needs:    []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.SystemPods},
	When:     noSettings,
	ByHand:   []string{"kubectl -n kube-system get configmap kube-proxy -o yaml | grep mode:", "kubectl get events -A --field-selector reason=KubeProxyDefaultMode"},
	Run:      findModeUnset,
	Doc: `Where its configuration names no mode, kube-proxy takes its version's default. That is iptables up to 1.39 and will be
nftables from 1.40 on; since 1.37 each kube-proxy says so when it starts (event KubeProxyDefaultMode on the Node). An upgrade
would then change the mode of all nodes unasked: kernels older than 5.13 cannot do the new one, and NodePorts no longer answer
on 127.0.0.1 and on further addresses of a node.

**Cure**: write the mode into the ConfigMap. ` + "`mode: iptables`" + ` is what runs today; nothing changes and nothing
needs a restart. kubeadm writes it since 1.37.`,
}

// What is to come is told of kube-proxies that work: the others have nearer worries.
func findIPVSDeprecated(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		c := p.settings()
		if n, ok := p.minor(); c == nil || !ok || n < 35 || c.mode() != "ipvs" || !p.works() {
			continue
		}
		out = append(out, checks.Finding{
			Subject:  c.at.ref(),
			Message:  "runs kube-proxy in mode ipvs, which is off by default from Kubernetes 1.40 on and gone in 1.43",
			Evidence: []checks.Evidence{c.quote("mode", "ipvs"), checks.Quote(setRef(p.set).String()+", image", p.spec.Containers[0].Image)},
			Remedy:   "Plan the move to mode nftables (kernel from 5.13 on) or iptables before the upgrade to 1.40.",
		})
	}
	return once(out)
}

func findModeUnset(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		c := p.settings()
		if n, ok := p.minor(); c == nil || !ok || n < 37 || n >= 40 || c.Mode != "" || !p.works() {
			continue
		}
		out = append(out, checks.Finding{
			Subject:  c.at.ref(),
			Message:  "chooses no mode for kube-proxy, whose default changes from iptables to nftables in Kubernetes 1.40",
			Evidence: []checks.Evidence{checks.Quote(c.at.from(), "mode is empty or not there"), checks.Quote(setRef(p.set).String()+", image", p.spec.Containers[0].Image)},
			Remedy:   fmt.Sprintf("Set mode: iptables in key %s: it is what runs today, and nothing needs a restart.", c.at.key),
		})
	}
	return once(out)
}
