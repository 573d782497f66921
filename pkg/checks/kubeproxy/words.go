package kubeproxy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// dying matches the lines with which kube-proxy ends. Other lines of the same log may
// read alike and mean nothing.
var dying = regexp.MustCompile(`^F\d{4} |^Error: |^error: |command failed|Error running ProxyServer|^panic: |^fatal error: `)

// words are a line of a log and what it means. The message and the remedy may name
// groups of the expression.
type words struct {
	re              *regexp.Regexp
	message, remedy string
}

// The lines are those of cmd/kube-proxy and pkg/proxy, in the forms of its versions:
// "F… server.go:463] failed complete: …" up to 1.22, "Error: failed complete: …" and
// "command failed" err="…" since. A special line stands before a more general one.
var fatal = []words{
	{regexp.MustCompile(`nf_conntrack_max: (?:permission denied|read-only)|nf_conntrack/parameters/hashsize: (?:permission denied|read-only)|write /sys/module/nf_conntrack/parameters/hashsize: `),
		"crashes: it may not set the node's conntrack limits",
		"Set conntrack.maxPerCore: 0 and conntrack.min: 0 in its configuration, or raise net.netfilter.nf_conntrack_max on the host to what the log names."},
	{regexp.MustCompile(`could not set conntrack parameters|nf_conntrack_max: no such file`),
		"crashes: it cannot set the node's conntrack parameters",
		"Load the module nf_conntrack on the node, or set conntrack.maxPerCore: 0 and conntrack.min: 0 in its configuration."},
	unknownGate,
	lockedGate,
	{regexp.MustCompile(`nftables mode requires kernel 5\.13`),
		"crashes: the node's kernel is too old for mode nftables",
		"Set mode: iptables in its configuration, or give the node a kernel from 5.13 on."},
	noIPVS,
	{regexp.MustCompile(`iptables is not available on this host`),
		"crashes: the node's kernel offers no iptables",
		"Load the modules ip_tables and iptable_nat (nf_tables, where the image uses that) on the node, or set mode: nftables."},
	{regexp.MustCompile(`no support for primary IP family "?\\?"?(\w+)`),
		"crashes: the node's primary address is $1, which the node cannot filter",
		"Load that family's iptables modules on the node, enable the family in its kernel, or correct the node's addresses and bindAddress."},
	{regexp.MustCompile(`cluster is (\S+) but (?:clusterCIDRs?|node\.spec\.podCIDRs) contains only (\w+) addresses`),
		"crashes: the cluster is $1, but its pods' CIDR is $2",
		"Make clusterCIDR in its configuration the range that pods really have."},
	{regexp.MustCompile(`ProxyMode: Invalid value: \\?"([^"\\]*)|unknown proxy mode:? \\?"?([^"\\\s]*)`),
		"crashes: it does not know the mode $1$2",
		"Set mode in its configuration to iptables, nftables or ipvs, then restart the DaemonSet."},
	{regexp.MustCompile(`(?:stat|open) (/[^:"\\]+): no such file or directory`),
		"crashes: the file $1 is not there",
		"Mount it, or name the right file: --config in the DaemonSet, clientConnection.kubeconfig in the configuration."},
	{regexp.MustCompile(`failed (?:complete: )?(?:to decode|lenient decoding)|no kind \\?"[^"]*" is registered|KubeProxyConfiguration: .*ReadMapCB|failed complete: .*(?:json|yaml): `),
		"crashes: it cannot decode its configuration",
		"Make the file that --config names a KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1, then restart the DaemonSet."},
	{regexp.MustCompile(`failed validate: `),
		"crashes: its configuration holds a value that it refuses",
		"Correct the value that the log names, then restart the DaemonSet."},
	{regexp.MustCompile(`unknown (?:shorthand )?flag: (\S+)`),
		"crashes: its version does not know the flag $1",
		"Take the flag out of the DaemonSet's command."},
	{regexp.MustCompile(`no configuration has been provided|unable to load in-cluster configuration`),
		"crashes: it is told no way to the API server",
		"Set clientConnection.kubeconfig in its configuration to a kubeconfig that is mounted."},
	{regexp.MustCompile(`unable to get node IP for hostname|timeout waiting for (?:node|PodCIDR)`),
		"crashes: it does not find its Node, or that has no podCIDR",
		"Start it with --hostname-override=$$(NODE_NAME), NODE_NAME being spec.nodeName, and see that the controller-manager allocates podCIDRs."},
	{regexp.MustCompile(`bind: address already in use`),
		"crashes: another program of the node has its port",
		"End the other program (a second kube-proxy?), or change healthzBindAddress and metricsBindAddress."},
	{regexp.MustCompile(`bind: cannot assign requested address`),
		"crashes: it is to listen on an address that the node does not have",
		"Set healthzBindAddress and metricsBindAddress in its configuration to addresses that every node has (0.0.0.0, 127.0.0.1), then restart it."},
	{regexp.MustCompile(`unable to create proxier: ([^"\\]{1,100})`),
		"crashes: it cannot write its rules ($1)",
		"See that the node's kernel and modules offer what its mode needs."},
	{regexp.MustCompile(`^panic: |^fatal error: `),
		"crashes: it panics",
		"Use the newest patch release of its version; report the stack of its previous log if that panics, too."},
}

// noIPVS are the last words in mode ipvs where the node cannot do that.
var noIPVS = words{regexp.MustCompile(`can't use the IPVS proxier|ipvs not supported by the kernel`),
	"crashes: the node cannot do mode ipvs",
	"Load the modules ip_vs, ip_vs_rr, ip_vs_wrr and ip_vs_sh on the node and install ipset, or set another mode."}

// unknownGate and lockedGate are the last words about a feature gate.
var (
	unknownGate = words{regexp.MustCompile(`unrecognized feature gate: (\w+)`),
		"crashes: its version does not know the feature gate $1",
		"Take $1 out of featureGates in its configuration (key config.conf of ConfigMap kube-proxy), then restart the DaemonSet."}
	lockedGate = words{regexp.MustCompile(`cannot set feature gate (\w+) to (\w+), feature is locked`),
		"crashes: its version does not let the feature gate $1 be $2",
		"Take $1 out of featureGates in its configuration, then restart the DaemonSet."}
)

// lastWords looks for what a container said before it ended.
func lastWords(p *facts.Pod, log facts.Log) (checks.Finding, bool) {
	if f, found := lastOf(p, "log", log.Current); found {
		return f, true // of the instance that ended last, before the next is started
	}
	return lastOf(p, "previous log", log.Previous)
}

func lastOf(p *facts.Pod, name, said string) (checks.Finding, bool) {
	lines := slices.Collect(strings.Lines(said))
	for _, line := range slices.Backward(lines) {
		if !dying.MatchString(line) {
			continue
		}
		for _, w := range fatal {
			if m := w.re.FindStringSubmatchIndex(line); m != nil {
				return w.finding(p, name, strings.TrimSpace(line), line, m), true
			}
		}
	}
	return checks.Finding{}, false
}

func (w words) finding(p *facts.Pod, name, quote, line string, m []int) checks.Finding {
	return checks.Finding{
		Message:  string(w.re.ExpandString(nil, w.message, line, m)),
		Remedy:   string(w.re.ExpandString(nil, w.remedy, line, m)),
		Evidence: []checks.Evidence{checks.QuoteLog(p, name, quote)},
	}
}
