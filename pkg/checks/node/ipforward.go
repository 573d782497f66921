package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/traffic"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// IPForward finds nodes whose kernel does not forward packets.
var IPForward = &checks.Check{
	ID:       "node-ip-forward",
	Title:    "Nodes forward packets",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/setup/production-environment/container-runtimes/#prerequisite-ipv4-forwarding-optional",
	Needs:    []*facts.Source{facts.Files, facts.Nodes},
	MayUse:   []*facts.Source{facts.Pods, facts.DaemonSets},
	Parts:    ipForwardParts,
	Explains: []*checks.Check{coredns.APIUnreachable, coredns.NotSynced, coredns.UpstreamFailing, coredns.PodOutside, traffic.PodToPod, traffic.PodToNode, traffic.PodToKubelet},
	ByHand: []string{"sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding # on the node",
		"sysctl -a | grep '^net.ipv4.conf.*[.]forwarding' # on the node", "grep -r forward /etc/sysctl.conf /etc/sysctl.d # on the node"},
	Run: findIPForward,
	Doc: `A packet of a pod comes to its node by one interface and leaves it by another. The kernel does that only where it is told to be a
router: ` + "`net.ipv4.ip_forward`" + ` for IPv4, ` + "`net.ipv6.conf.all.forwarding`" + ` for IPv6. At 0 the node's pods reach nothing
outside their node, and nothing there reaches them. Programs on the node's own network go on, and the node stays Ready: where it has no other
pods yet, this is a warning.

For IPv4 each interface has a setting of its own (` + "`net.ipv4.conf.IF.forwarding`" + `), and that of the interface by which a packet comes
in decides; writing ip_forward sets them all. Where somebody set them one by one, those count by which pods' packets come. Cilium
and OVN-Kubernetes do so for their own interfaces: with them a 0 in ip_forward is no fault, and OpenShift has it on purpose.

**How it comes about**: the setting was made by hand and is gone after a restart of the machine; a file of /etc/sysctl.d, a
hardening script or a tuned profile sets it to 0 later than the plugin or the container runtime had set it to 1. kubeadm looks for
it only while a node joins, and kube-proxy sets it in mode ipvs alone.

**Cure**: ` + "`sysctl -w net.ipv4.ip_forward=1`" + ` on the node, and ` + "`net.ipv4.ip_forward = 1`" + ` in a file of /etc/sysctl.d that is read after
the one which sets 0 (` + "`sysctl --system`" + ` shows the order).`,
}

// IP6Forward is the file that tells whether a node's kernel forwards IPv6, 0 or 1.
const IP6Forward = "/proc/sys/net/ipv6/conf/all/forwarding"

// IP4Forward is the file that tells whether a node's kernel forwards IPv4, 0 or 1. Writing it
// sets the same of every interface (Linux, Documentation/networking/ip-sysctl.rst).
const IP4Forward = "/proc/sys/net/ipv4/ip_forward"

// confDir holds what each interface has for IPv4.
const confDir = "/proc/sys/net/ipv4/conf"

// ipForwardParts names the settings of each node, and its interfaces and routes where it
// depends on them.
func ipForwardParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	w := waysOf(s)
	itself := plugins.SwitchesForwarding(s) != nil
	for _, n := range w.nodes {
		files := w.forwardFiles(n.Name)
		v := host.Of(s, n.Name)
		on, _ := Forwarding(v)
		each := v.Word(IP4Forward) == "0" && len(on) > 0 && !itself
		if each || len(files) == 0 { // else the families of other nodes' pods tell
			out = append(out, w.unplaced(s, n.Name)...)
		}
		if each {
			files = append(files, host.RouteFile)
			out = append(out, garbled(v)...)
		}
		out = append(out, checks.Files(s, n.Name, files...)...)
	}
	return out
}

func forwardFile(pods netip.Prefix) string {
	if pods.Addr().Is4() {
		return IP4Forward
	}
	return IP6Forward
}

// forwardFiles names the settings that a node needs: those of the families that its pods have,
// and where it has none yet, those of all pods.
func (w ways) forwardFiles(node string) []string {
	ranges := w.pods[node]
	if len(ranges) == 0 {
		for _, n := range w.nodes {
			ranges = append(ranges, w.pods[n.Name]...)
		}
	}
	var out []string
	for _, r := range ranges {
		if file := forwardFile(r); !slices.Contains(out, file) {
			out = append(out, file)
		}
	}
	return out
}

func findIPForward(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	w := waysOf(s)
	itself := plugins.SwitchesForwarding(s) != nil
	for _, n := range w.nodes {
		for _, file := range w.forwardFiles(n.Name) {
			v := host.Of(s, n.Name)
			if v.Word(file) != "0" {
				continue
			}
			on, off := Forwarding(v)
			f := notForwarding(n, v, file)
			if nobodyForwarded(s, n.Name) {
				f.Severity = checks.Warning // it strikes with the first pod that comes
				f.Evidence = append(f.Evidence, checks.Quote("Pods on node "+n.Name, "none but on the node's own network"))
			}
			switch {
			case file == IP6Forward || len(on) == 0:
			case itself:
				continue
			default:
				mute := w.without(off, n.Name, v)
				if len(mute) == 0 {
					continue
				}
				f.Message = "does not forward what comes in by " + strings.Join(mute, ", ")
				for _, dev := range mute {
					f.Evidence = append(f.Evidence, checks.QuoteFile(n.Name, confDir+"/"+dev+"/forwarding", "0"))
				}
			}
			out = append(out, f)
		}
	}
	return out
}

// nobodyForwarded tells whether it is certain that no pod on a node has a network of its own.
func nobodyForwarded(s *facts.Snapshot, node string) bool {
	return everyPod(s) && !slices.ContainsFunc(s.PodsOn(node), func(p *facts.Pod) bool { return !p.HostNetwork && !p.Finished() })
}

// Forwarding returns the interfaces of a node whose own setting of IPv4 (net.ipv4.conf.IF.forwarding)
// is 1, and those whose is 0, as far as they were read.
func Forwarding(v host.View) (on, off []string) {
	for _, file := range v.Under(confDir) {
		dev, is := strings.CutSuffix(strings.TrimPrefix(file, confDir+"/"), "/forwarding")
		if !is || slices.Contains([]string{"all", "default", "lo"}, dev) {
			continue
		}
		switch v.Word(file) {
		case "1":
			on = append(on, dev)
		case "0":
			off = append(off, dev)
		}
	}
	return on, off
}

// without returns those of some interfaces by which IPv4 packets of pods come: from the node's
// own, from those of other nodes, and from outside.
func (w ways) without(off []string, node string, v host.View) []string {
	routes, _ := v.Routes()
	ranges := []netip.Prefix{}
	for _, to := range w.from(node) {
		if to.own.Addr().Is4() {
			ranges = append(ranges, to.own, to.other)
		}
	}
	var out []string
	for _, to := range append(ranges, netip.PrefixFrom(netip.IPv4Unspecified(), 32)) {
		for _, dev := range host.DevsTo(routes, to) {
			if slices.Contains(off, dev) && !slices.Contains(out, dev) {
				out = append(out, dev)
			}
		}
	}
	return out
}

func notForwarding(n *corev1.Node, v host.View, file string) checks.Finding {
	name := strings.ReplaceAll(strings.TrimPrefix(file, "/proc/sys/"), "/", ".")
	f := checks.Finding{
		Subject:  facts.NodeRef(n.Name),
		Message:  fmt.Sprintf("does not forward packets: %s is 0, so its pods reach nothing outside their node", name),
		Remedy:   fmt.Sprintf("On the node: sysctl -w %s=1, and write %s = 1 into a file of /etc/sysctl.d so that it lasts.", name, name),
		Evidence: []checks.Evidence{checks.QuoteFile(n.Name, file, "0")},
	}
	for _, conf := range append([]string{"/etc/sysctl.conf"}, slices.Concat(v.Under("/etc/sysctl.d"), v.Under("/run/sysctl.d"))...) {
		text, _ := v.Read(conf)
		for line := range strings.Lines(text) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if strings.ReplaceAll(strings.TrimSpace(key), "/", ".") == name && strings.TrimSpace(value) == "0" {
				f.Evidence = append(f.Evidence, checks.QuoteFile(n.Name, conf, strings.TrimSpace(line)))
				f.Remedy = fmt.Sprintf("Set %s = 1 in %s of the node, then on the node: sysctl -w %s=1.", name, conf, name)
			}
		}
	}
	return f
}
