package coredns

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	cureKubelet = "Set resolvConf of the kubelets to a file without loopback addresses (with systemd-resolved " +
		"/run/systemd/resolve/resolv.conf), restart them and delete the CoreDNS pods: that lasts. " +
		"`kubectl netdoctor fix coredns-loop --with kubelet-resolvconf --allow-node-changes` does so where systemd runs the kubelets. Until then, `kubectl netdoctor fix coredns-loop` makes CoreDNS forward to real upstreams."
	cureCorefile = "Write the addresses of real upstreams into the Corefile in place of %s: `kubectl netdoctor fix coredns-loop` does so and keeps everything else."
	cureUnknown  = "Find what the Corefile forwards to and let it be a server that does not ask CoreDNS back: " +
		"`kubectl netdoctor fix coredns-loop` writes real upstreams, resolvConf of the kubelets is the lasting cure where /etc/resolv.conf is forwarded to."
	curePolicy = "Set dnsPolicy of the CoreDNS pods to Default, so that the kubelet gives them the node's nameservers and not CoreDNS's own address. " +
		"Until then, `kubectl netdoctor fix coredns-loop` makes CoreDNS forward to real upstreams."
	cureOther = "Let %s answer for zone %q itself or forward elsewhere, or take it out of the Corefile: it sends CoreDNS's questions back. " +
		"`kubectl netdoctor fix coredns-loop` writes other upstreams."
)

// loopOrigin says what a looping pod forwards a zone to and why that is the pod itself,
// as far as the facts tell.
func loopOrigin(s *facts.Snapshot, p *facts.Pod, zone string) ([]checks.Evidence, string) {
	cm, text := configOf(s, p)
	if cm == nil {
		return nil, cureUnknown
	}
	file, err := corefile.Parse(text)
	if err != nil {
		return nil, cureUnknown // what runs is an older Corefile
	}
	if zone == "" {
		zone = "."
	}
	from := fmt.Sprintf("ConfigMap %s/%s, Corefile", cm.Namespace, cm.Name)
	var evidence []checks.Evidence
	remedy := ""
	for _, b := range file.Blocks {
		if !slices.Contains(b.Zones(), zone) {
			continue
		}
		for _, d := range slices.Concat(b.Find("forward"), b.Find("proxy")) {
			f, ok := d.Forward()
			if !ok {
				continue
			}
			line := fmt.Sprintf("line %d: %s %s", d.Line, d.Name, strings.Join(d.Args, " "))
			evidence = append(evidence, checks.Quote(from, line))
			for _, to := range f.To {
				why, cure := upstreamOrigin(s, p, b, to, zone)
				evidence = append(evidence, why...)
				if remedy == "" || len(why) > 0 {
					remedy = cure
				}
			}
		}
	}
	if remedy == "" {
		remedy = cureUnknown
	}
	return evidence, remedy
}

func upstreamOrigin(s *facts.Snapshot, p *facts.Pod, b *corefile.Block, to corefile.Upstream, zone string) ([]checks.Evidence, string) {
	switch {
	case to.Kind == corefile.UpstreamFile && to.Path == corefile.ResolvConf:
		return resolvConfOrigin(s, p)
	case to.Kind != corefile.UpstreamAddress:
		return nil, cureUnknown
	case b.Hears(to):
		return nil, fmt.Sprintf(cureCorefile, to.Text)
	}
	for _, svc := range s.DNSServices() {
		if slices.ContainsFunc(facts.ClusterIPs(svc), func(ip string) bool { return facts.SameIP(ip, to.Addr.String()) }) {
			return []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String(), "clusterIP: "+to.Addr.String())}, fmt.Sprintf(cureCorefile, to.Text)
		}
	}
	return nil, fmt.Sprintf(cureOther, to.Text, zone)
}

// resolvConfOrigin says where the nameservers in the pod's own /etc/resolv.conf come
// from (k8s.io/kubernetes pkg/kubelet/network/dns/dns.go, GetPodDNS).
func resolvConfOrigin(s *facts.Snapshot, p *facts.Pod) ([]checks.Evidence, string) {
	if p.DNSPolicy == corev1.DNSClusterFirstWithHostNet || p.DNSPolicy == corev1.DNSClusterFirst && !p.HostNetwork {
		return []checks.Evidence{checks.Quote(p.Ref().String()+", spec.dnsPolicy", string(p.DNSPolicy))}, curePolicy
	}
	config := s.Configz[p.Node]
	if config == nil || config.ResolverConfig == nil {
		return nil, cureKubelet
	}
	name := *config.ResolverConfig
	evidence := []checks.Evidence{checks.Quote("Node "+p.Node+", kubelet configz resolvConf", fmt.Sprintf("%q", name))}
	for line := range strings.Lines(s.Files[p.Node][name]) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "nameserver" && corefile.Loopback(words[1]) {
			evidence = append(evidence, checks.Quote("Node "+p.Node+", "+name, strings.TrimSpace(line)))
		}
	}
	return evidence, cureKubelet
}
