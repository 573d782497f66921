package kubeproxy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// SyncErrors finds kube-proxies that cannot bring their rules into the node's kernel.
var SyncErrors = &checks.Check{
	ID:       "kube-proxy-sync-errors",
	Title:    "kube-proxy can write its rules",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-modes",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.Nodes},
	When:     noLogs,
	Parts:    func(s *facts.Snapshot) []checks.Part { return logParts(readyProxies(s)) },
	Explains: []*checks.Check{NotSynced, coredns.APIUnreachable, coredns.NotSynced, traffic.ServicePath, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system logs POD | grep -A3 -E 'Failed to|sync failed'",
		"lsof /run/xtables.lock # on the node", "nft list ruleset # on the node"},
	Run: findSyncErrors,
	Doc: `kube-proxy writes all of its rules in one go, and the kernel takes all or none. Where that fails it tries again after 30
seconds, for ever, and stays Running and Ready: it has no readiness probe. On a node where it never succeeded no Service works
at all. On one where it did before, the old rules stay: new Services do not work there, and traffic goes on to pods that are gone.

It is reported where the log shows the same trouble again after more than a minute, and within the last ten minutes: that a lock
is held once, or a rule refused while another program changes its own, is nothing. What concerns IPv6 alone (ip6tables,
ipFamily="IPv6") is left out while no pod has an IPv6 address: kube-proxy tries both families wherever the kernel has them.

**How it comes about**: another program holds the iptables lock (a second kube-proxy, a firewall, a hung iptables). The node's
kernel lacks a module, or what the rules match by: nft_fib in mode nftables, ip_tables in mode iptables, ip_vs and ip_set in mode
ipvs. Something was written into the tables of iptables with nft, which iptables then cannot read. Or nft of kube-proxy's image
crashes on sets that a newer nft of the node has made.

**Cure**: that of the message; the evidence quotes what the kernel's tools said. kube-proxy needs no restart afterwards: it
tries again by itself.`,
}

// syncing are the lines of a kube-proxy that does not get its rules into the kernel, with
// what iptables, nft or ipset said below them (pkg/proxy/iptables, nftables and ipvs, in
// the forms of their versions). A special one stands before a more general one.
var syncing = []words{
	{regexp.MustCompile(`is incompatible, use 'nft' tool`),
		"runs, but cannot read the tables of iptables: something was written into them with nft",
		"Look on the node for rules that iptables did not make (nft list ruleset, tables nat and filter), take them out, and let their program use a table of its own."},
	{regexp.MustCompile(writes + `.*(?:do you need to insmod|could not insert '|FATAL: Module \S+ not found)`),
		"runs, but the node's kernel lacks a module of iptables",
		"Load the modules on the node that the log names (ip_tables, iptable_nat, ip6_tables), now and at boot; or set mode: nftables."},
	{regexp.MustCompile(`(?:` + writes + `|Could not (?:check for|set up) iptables canary).*(?:xtables lock|iptables lock|exit status 4)`),
		"runs, but cannot write its rules: another program holds the iptables lock",
		"Find what holds /run/xtables.lock on the node (lsof /run/xtables.lock): another kube-proxy, a firewall's or plugin's script, a hung iptables."},
	{regexp.MustCompile(writes),
		iptablesRefuses,
		"Read the lines below the error in its log: they name the rule; often a kernel module or a matching iptables version is missing."},
	{regexp.MustCompile(`(?:nftables sync failed|Failed to list (?:existing|nftables)).*signal: (?:segmentation fault|aborted)`),
		"runs, but its nft crashes on what a newer nft has written on the node",
		"Use the newest patch release of kube-proxy's version, or 1.37 and later, whose image has another nft; until then set mode: iptables, or take out the sets that crash it (nft list ruleset on the node)."},
	{regexp.MustCompile(`nftables sync failed.*Could not process rule: No such file or directory.*\bfib (?:saddr|daddr)`),
		"runs, but the node's kernel lacks nft_fib, by which its rules match",
		"Give the node a kernel with CONFIG_NFT_FIB_IPV4 and CONFIG_NFT_FIB_IPV6, load nft_fib_ipv4 and nft_fib_ipv6, or set mode: iptables."},
	{regexp.MustCompile(`nftables sync failed`),
		nftablesRefuses,
		"Give the node a kernel from 5.13 on with the nft fib modules and use the newest patch release of kube-proxy, or set mode: iptables."},
	{regexp.MustCompile(`Failed to (?:create dummy interface|make sure (?:existence of )?ip set|add IPVS service|bind service address to dummy|sync (?:endpoint for )?service)`),
		ipvsRefuses,
		"Load the modules that it needs on the node (ip_vs, ip_vs_rr, ip_vs_wrr, ip_vs_sh, ip_set, nf_conntrack, dummy), or set mode: nftables or iptables."},
}

// What is said where no lock, module or other program is named that keeps a kube-proxy
// from writing its rules.
const (
	iptablesRefuses = "runs, but iptables refuses its rules"
	nftablesRefuses = "runs, but nftables refuses its rules"
	ipvsRefuses     = "runs, but IPVS or ipset refuses what it writes"
)

// writes is how kube-proxy says that iptables did not take what it wrote. Removing the
// rules of another mode at the start is another matter.
const writes = `Failed to (?:execute iptables-restore(?:$|[:"])|ensure (?:that \S+ )?chain)`

// ofIPv6 tells the lines that are about IPv6 alone.
var ofIPv6 = regexp.MustCompile(`ip6tables|ipFamily="?IPv6`)

// readyProxies returns the pods whose log tells of their work: one that crashes has last
// words instead.
func readyProxies(s *facts.Snapshot) []*facts.Pod {
	var out []*facts.Pod
	for _, p := range s.KubeProxyPods() {
		if n := s.Node(p.Node); p.Ready && !p.Deleting && (n == nil || !silent(n)) && p.Crashing() == nil && restarting(s, p) == nil {
			out = append(out, p)
		}
	}
	return out
}

func findSyncErrors(s *facts.Snapshot) []checks.Finding {
	four, cutOff := !anyIPv6(s), waitingByNode(s)
	var out []checks.Finding
	for _, p := range readyProxies(s) {
		if f, found := unwritten(s, p, four); found {
			f.Subject, f.Places = p.Ref(), cutOff[p.Node]
			out = append(out, f)
		}
	}
	return out
}

// unwritten tells whether a pod's log shows that its rules do not get into the kernel;
// four leaves out what concerns IPv6.
func unwritten(s *facts.Snapshot, p *facts.Pod, four bool) (checks.Finding, bool) {
	for i := range p.Containers {
		said := records(s.Logs[p.Namespace+"/"+p.Name+"/"+p.Containers[i].Name].Current)
		said = slices.DeleteFunc(said, func(line string) bool { return line[0] == 'I' || four && ofIPv6.MatchString(line) })
		for _, w := range syncing {
			if f, found := w.persist(s, p, said); found {
				return f, true
			}
		}
	}
	return checks.Finding{}, false
}

// anyIPv6 tells whether a pod of the system namespaces has an IPv6 address on the pod
// network.
func anyIPv6(s *facts.Snapshot) bool {
	for _, ns := range facts.SystemNamespaces() {
		if slices.ContainsFunc(s.PodsIn(ns), func(p *facts.Pod) bool { _, ok := address(p, false); return ok }) {
			return true
		}
	}
	return false
}

// recordLines is how many of the lines below a line belong to what is quoted: the first
// ones name what went wrong, and a whole ruleset may follow.
const recordLines = 4

// recordWidth is how much of a line is looked at: in mode ipvs all rules stand at its end.
const recordWidth = 1000

// records joins the lines of a log that kube-proxy wrote as one, as klog does with errors
// of several lines.
func records(said string) []string {
	var out []string
	below := 0
	for line := range strings.Lines(said) {
		line = strings.TrimRight(line, "\r\n")
		line = strings.ToValidUTF8(line[:min(len(line), recordWidth)], "")
		switch {
		case line == "":
		case klogHeader.MatchString(line) || len(out) == 0:
			out, below = append(out, line), 0
		case below < recordLines && strings.TrimSpace(line) != "":
			out[len(out)-1] += " " + strings.Join(strings.Fields(line), " ")
			below++
		}
	}
	return out
}
