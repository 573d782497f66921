package kubelet

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	// defaultResolvConf is what the kubelet reads where it is not told otherwise.
	defaultResolvConf = "/etc/resolv.conf"
	// resolvedUplink is where systemd-resolved lists the servers that it asks itself.
	resolvedUplink = "/run/systemd/resolve/resolv.conf"
	// maxServers is how many nameservers the kubelet hands on
	// (k8s.io/kubernetes pkg/kubelet/network/dns).
	maxServers = 3
)

// ResolvConfLoopback finds kubelets that give pods a nameserver on a loopback address.
var ResolvConfLoopback = &checks.Check{
	ID:       "kubelet-resolvconf-loopback",
	Title:    "The nameservers that kubelets hand to pods are no loopback addresses",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues",
	Needs:    []*facts.Source{facts.Configz, facts.Nodes, facts.Pods},
	MayUse:   []*facts.Source{facts.Files, facts.ConfigMaps},
	Parts:    resolvConfParts,
	When:     filesToRead,
	Explains: []*checks.Check{coredns.Loop, coredns.OOM, coredns.PodOutside, DefaultPods},
	ByHand: []string{`kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`,
		"cat /etc/resolv.conf /run/systemd/resolve/resolv.conf # on the node",
		`kubectl run d --rm -it --restart=Never --image=busybox:1.36 --overrides='{"spec":{"nodeName":"NODE","dnsPolicy":"Default"}}' -- cat /etc/resolv.conf`},
	Run: findLoopback,
	Doc: `Pods with ` + "`dnsPolicy: Default`" + `, CoreDNS above all, get the nameservers of a file of their node: the one that
` + "`resolvConf`" + ` in the kubelet's configuration names, /etc/resolv.conf by default. The kubelet copies them unchanged. Where the
file names 127.0.0.53 (systemd-resolved), 127.0.0.1 (dnsmasq) or 127.0.0.11 (Docker), the pod asks itself: CoreDNS forwards
its questions to itself, notices it and exits (see **coredns-loop**), or does not notice it and runs out of memory. If other servers
stand beside the loopback address, a part of the questions is lost. An empty ` + "`resolvConf`" + ` does the same: the kubelet then
writes 127.0.0.1. That alone is seen without --depth host.

kubeadm sets ` + "`resolvConf: /run/systemd/resolve/resolv.conf`" + ` on nodes where systemd-resolved runs while it joins them; a node
whose resolver was changed later, or a kubelet that was configured otherwise, misses it.

Cures: (1) lasts: set ` + "`resolvConf`" + ` in /var/lib/kubelet/config.yaml of the node to a file with real servers, restart the
kubelet and delete the CoreDNS pods, which keep what they started with. Set it in ConfigMap kube-system/kubelet-config too if
it holds for all nodes, or ` + "`kubeadm upgrade node`" + ` writes the old value back. (2) Switch the node's stub resolver off and put
real servers into /etc/resolv.conf. (3) Let CoreDNS forward to addresses instead of /etc/resolv.conf: then other pods with
` + "`dnsPolicy: Default`" + ` stay broken.`,
}

// filesToRead says why nothing can be told here, or "": kubelets read files of their nodes, and
// only one that reads none is known without them.
func filesToRead(s *facts.Snapshot) string {
	none := func(n *corev1.Node) bool { return s.Configz[n.Name] != nil && resolvConf(s, n.Name) == "" }
	if s.Depth >= facts.Host || slices.ContainsFunc(s.LinuxNodes(), none) {
		return ""
	}
	return checks.OnlyAt(facts.Host)
}

// resolvConfParts names the configuration of each kubelet and the file that it reads.
func resolvConfParts(s *facts.Snapshot) []checks.Part {
	return append(configzParts(s), resolvConfFiles(s)...)
}

// resolvConfFiles names the file that each kubelet reads, where nodes are looked at.
func resolvConfFiles(s *facts.Snapshot) []checks.Part {
	if s.Depth < facts.Host {
		return nil
	}
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		if file := resolvConf(s, n.Name); file != "" {
			out = append(out, checks.Files(s, n.Name, file)...)
		}
	}
	return out
}

// resolvConf returns the file that a node's kubelet reads: "" where it reads none, or
// is not known.
func resolvConf(s *facts.Snapshot, node string) string {
	config := s.Configz[node]
	switch {
	case config == nil:
		return ""
	case config.ResolverConfig == nil:
		return defaultResolvConf
	}
	return *config.ResolverConfig
}

func findLoopback(s *facts.Snapshot) []checks.Finding {
	dnsReadsFile := forwardsToFile(s)
	affected := func(p *facts.Pod) bool {
		return p.DNSPolicy == corev1.DNSDefault && !p.HostNetwork && !p.Finished() && (dnsReadsFile || !runsDNS(p))
	}
	var somewhere []*facts.Pod
	for _, p := range s.Pods {
		if affected(p) {
			somewhere = append(somewhere, p)
		}
	}
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		given, known := servers(s, n.Name)
		loops := loopbacks(given)
		if !known || len(loops) == 0 || len(somewhere) == 0 {
			continue
		}
		var here []*facts.Pod
		for _, p := range somewhere {
			if p.Node == n.Name {
				here = append(here, p)
			}
		}
		out = append(out, loopback(s, n.Name, given, loops, here))
	}
	return out
}

func loopback(s *facts.Snapshot, node string, given, loops []string, here []*facts.Pod) checks.Finding {
	file := resolvConf(s, node)
	f := checks.Finding{
		Subject:  facts.NodeRef(node),
		Message:  "gives pods a loopback address as nameserver",
		Remedy:   "Set resolvConf of this kubelet to a file that names real servers, restart it, then re-create the pods with dnsPolicy Default there, CoreDNS first.",
		Evidence: []checks.Evidence{checks.Quote("Node "+node+", kubelet configz", fmt.Sprintf("resolvConf: %q", file))},
	}
	switch {
	case len(loops) < len(given):
		f.Severity = checks.Warning
		f.Message = "gives pods a loopback address among their nameservers"
	case len(here) == 0:
		f.Severity = checks.Warning // it strikes when CoreDNS moves here
	}
	if file != "" {
		for _, server := range given {
			f.Evidence = append(f.Evidence, checks.Quote("Node "+node+", "+file, "nameserver "+server))
		}
	} else {
		f.Evidence = append(f.Evidence, checks.Quote("kubelet", "without a file it writes nameserver 127.0.0.1"))
	}
	uplink := nameservers(s.Files[node][resolvedUplink])
	if len(uplink) > 0 && len(loopbacks(uplink)) == 0 {
		f.Remedy = "Set resolvConf: " + resolvedUplink + " in the node's /var/lib/kubelet/config.yaml, restart it, then re-create the pods with dnsPolicy Default there, CoreDNS first."
		f.Evidence = append(f.Evidence, checks.Quote("Node "+node+", "+resolvedUplink, "nameserver "+strings.Join(uplink, ", ")))
	}
	for _, p := range here {
		f.Places = append(f.Places, p.Ref())
		f.Evidence = append(f.Evidence, checks.Quote(p.Ref().String(), "dnsPolicy: Default"))
	}
	return f
}

// servers returns the nameservers that a node's kubelet hands to pods with dnsPolicy
// Default, as far as that is known.
func servers(s *facts.Snapshot, node string) (given []string, known bool) {
	if s.Configz[node] == nil {
		return nil, false
	}
	file := resolvConf(s, node)
	if file == "" {
		return []string{"127.0.0.1"}, true
	}
	text, known := s.Files[node][file]
	return nameservers(text), known
}

func nameservers(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" && len(out) < maxServers {
			out = append(out, fields[1])
		}
	}
	return out
}

func loopbacks(servers []string) []string {
	var out []string
	for _, server := range servers {
		if corefile.Loopback(server) {
			out = append(out, server)
		}
	}
	return out
}

// forwardsToFile tells whether CoreDNS asks the servers of its resolv.conf. Where its
// configuration is not known, or more of it may stand elsewhere, it does: that is what
// it comes with.
func forwardsToFile(s *facts.Snapshot) bool {
	_, text := s.Corefile()
	file, err := corefile.Parse(text)
	if text == "" || err != nil {
		return true
	}
	for _, b := range file.Blocks {
		for _, d := range append(b.Find("forward"), b.Find("proxy")...) {
			f, _ := d.Forward()
			for _, to := range f.To {
				if to.Kind == corefile.UpstreamFile {
					return true
				}
			}
		}
	}
	return false
}

func runsDNS(p *facts.Pod) bool {
	for i := range p.Containers {
		if p.RunsDNS(p.Containers[i]) {
			return true
		}
	}
	return false
}
