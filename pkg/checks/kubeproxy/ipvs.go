package kubeproxy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// IPVSUnusable finds nodes that cannot do the mode ipvs in which kube-proxy is started.
var IPVSUnusable = &checks.Check{
	ID:       "kube-proxy-ipvs-unusable",
	Title:    "Nodes on which kube-proxy is to use IPVS can do so",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-ipvs",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.SystemDaemonSets, facts.Nodes},
	When:     noPods,
	Parts:    func(s *facts.Snapshot) []checks.Part { return checks.PodLogs(append(crashing(s), mayFallBack(s)...)) },
	Explains: []*checks.Check{PodUnhealthy},
	ByHand: []string{"kubectl -n kube-system logs POD --previous", "kubectl -n kube-system get configmap kube-proxy -o yaml | grep mode:",
		"lsmod | grep ip_vs # on the node"},
	Run: findIPVSUnusable,
	Doc: `In mode ipvs kube-proxy needs the kernel's IPVS with the scheduler that is configured (modules ip_vs and ip_vs_rr,
ip_vs_wrr or ip_vs_sh, and nf_conntrack), and ipset. When it starts it tries to make a virtual server; where that fails it
exits ("can't use the IPVS proxier"). The rules of before stay until the node is started again, so that only new Services and
endpoints are missing at first. Before Kubernetes 1.26 it takes mode iptables instead and says so only in its log ("Can't use the
IPVS proxier"): Services work there, and the node differs from others. That is a warning.

**How it comes about**: the mode was changed without loading the modules, a new kernel or machine image lacks them, or they
are not loaded at boot and the image of kube-proxy cannot load them itself.

**Cure**: load the modules on the node, now and at boot (/etc/modules-load.d/ipvs.conf), and install ipset; or set another
mode. ipvs is deprecated since 1.35, and nftables is what is to replace it, on kernels from 5.13 on.`,
}

// crashing returns the pods of kube-proxy that keep ending with an error.
func crashing(s *facts.Snapshot) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range s.KubeProxyPods() {
		n := s.Node(p.Node)
		if !p.Deleting && (n == nil || !silent(n)) && (p.Crashing() != nil || restarting(s, p) != nil) {
			out = append(out, p)
		}
	}
	return out
}

func findIPVSUnusable(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	sets := setsOf(s)
	for _, p := range crashing(s) {
		said, found := lastOfAny(s, p)
		if !found || said.Message != noIPVS.message || p.Node == "" {
			continue
		}
		f := checks.Finding{
			Subject:  facts.NodeRef(p.Node),
			Message:  "cannot do mode ipvs, in which kube-proxy is started there",
			Evidence: said.Evidence,
			Places:   []facts.Ref{p.Ref()},
			Remedy: "Load the modules ip_vs, ip_vs_rr, ip_vs_wrr, ip_vs_sh and nf_conntrack on the node and install ipset, " +
				"or set mode in kube-proxy's configuration to nftables or iptables; then restart its pods.",
		}
		if set := sets[p.Owner]; set.config != nil && set.config.mode() == "ipvs" {
			c := set.config
			f.Evidence = append(f.Evidence, c.quote("mode", "ipvs"))
			f.Remedy = fmt.Sprintf("Load the modules ip_vs, ip_vs_rr, ip_vs_wrr, ip_vs_sh and nf_conntrack on the node and install ipset, "+
				"or set mode in key %s of %s to nftables or iptables; then: %s.", c.at.key, c.at.ref(), set.restart())
		}
		out = append(out, f)
	}
	return append(out, fellBack(s)...)
}

// fallback is how a kube-proxy of before 1.26 says that it takes mode iptables instead. The
// second form is also said where nobody wants ipvs.
var fallback = regexp.MustCompile(`Can't use the IPVS proxier|Can't use ipvs proxier, trying iptables proxier`)

// mayFallBack returns the pods of versions that take another mode than ipvs without a word
// to anybody else.
func mayFallBack(s *facts.Snapshot) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range proxies(s) {
		if c := p.settings(); c == nil || c.mode() != "ipvs" {
			continue
		}
		for _, pod := range p.pods {
			if len(pod.Containers) == 0 || p.passing(pod) {
				continue
			}
			if v, ok := minor(tag(pod.Containers[0].Image)); ok && v < 26 {
				out = append(out, pod)
			}
		}
	}
	return out
}

// fallen returns the pods that took mode iptables in place of ipvs.
func fallen(s *facts.Snapshot) map[*facts.Pod]bool {
	out := map[*facts.Pod]bool{}
	for _, p := range mayFallBack(s) {
		said, _ := saidOf(s, p)
		out[p] = fallback.MatchString(said) && running.MatchString(said)
	}
	return out
}

// fellBack reports nodes on which kube-proxy took mode iptables in place of ipvs.
func fellBack(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	fallen := fallen(s)
	for _, p := range mayFallBack(s) {
		if said, _ := saidOf(s, p); p.Node != "" && fallen[p] {
			out = append(out, checks.Finding{
				Subject: facts.NodeRef(p.Node), Severity: checks.Warning,
				Message:  "cannot do mode ipvs, and kube-proxy runs there in mode iptables instead",
				Evidence: []checks.Evidence{checks.QuoteLog(p, "log", firstLine(said, fallback)), checks.QuoteLog(p, "log", firstLine(said, running))},
				Places:   []facts.Ref{p.Ref()},
				Remedy: "Load the modules ip_vs, ip_vs_rr, ip_vs_wrr, ip_vs_sh and nf_conntrack on the node and install ipset, then restart its kube-proxy; " +
					"or set mode: iptables for all. From 1.26 on kube-proxy exits there.",
			})
		}
	}
	return out
}

// firstLine returns the first line of a text that matches.
func firstLine(text string, re *regexp.Regexp) string {
	for line := range strings.Lines(text) {
		if re.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// lastOfAny looks for the last words of the container that keeps ending.
func lastOfAny(s *facts.Snapshot, p *facts.Pod) (checks.Finding, bool) {
	c := p.Crashing()
	if c == nil {
		c = restarting(s, p)
	}
	if c == nil {
		return checks.Finding{}, false
	}
	return lastWords(p, s.Logs[p.Namespace+"/"+p.Name+"/"+c.Name])
}

// configured is a DaemonSet with its configuration, which is nil where it is not known.
type configured struct {
	*proxy
	config *settings
}

// setsOf returns the DaemonSets of kube-proxy.
func setsOf(s *facts.Snapshot) map[facts.Ref]configured {
	out := map[facts.Ref]configured{}
	for _, p := range proxies(s) {
		out[setRef(p.set)] = configured{p, p.settings()}
	}
	return out
}
