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

// DNSPolicy finds CoreDNS pods that are given their own Service as nameserver and forward
// to it.
var DNSPolicy = &checks.Check{
	ID:       "coredns-dnspolicy",
	Title:    "The CoreDNS pods have the nameservers of their nodes",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps, facts.SystemServices},
	MayUse:   []*facts.Source{facts.Configz},
	Explains: []*checks.Check{Loop},
	ByHand: []string{"kubectl -n kube-system get pods -l k8s-app=kube-dns -o jsonpath='{.items[*].spec.dnsPolicy}'",
		"kubectl -n kube-system get configmap coredns -o yaml"},
	Run: findDNSPolicy,
	Doc: `The line ` + "`forward . /etc/resolv.conf`" + ` sends what CoreDNS does not know to the nameservers in its own container. With
` + "`dnsPolicy: Default`" + ` these are the node's. With ` + "`ClusterFirst`" + `, which is what a pod gets whose manifest says nothing, it is the
cluster's DNS Service: CoreDNS asks itself. The plugin **loop** ends it then (**coredns-loop**); where it notices nothing, or is
missing, every name outside the cluster fails.

Pods on the host's network get the node's nameservers with ClusterFirst as well, but not with ` + "`ClusterFirstWithHostNet`" + `.

It comes about by a manifest written by hand, a chart with its own value, or a tool that took the line for needless.

Cure: ` + "`kubectl -n kube-system patch deployment coredns -p '{\"spec\":{\"template\":{\"spec\":{\"dnsPolicy\":\"Default\"}}}}'`" + `, or in the chart
or add-on that owns it.`,
}

func findDNSPolicy(s *facts.Snapshot) []checks.Finding {
	services, cached := s.DNSServices(), nodeCaches(s)
	var out []checks.Finding
	for _, v := range newFleet(s).servers {
		p := v.pod
		if p.Deleting || p.DNSPolicy != corev1.DNSClusterFirstWithHostNet && (p.DNSPolicy != corev1.DNSClusterFirst || p.HostNetwork) {
			continue
		}
		cm, text := configOf(s, p)
		line := forwardsOwn(text)
		from, address := givenSelf(s, services, cached, p)
		if line == "" || address == "" {
			continue
		}
		out = told(out, checks.Finding{
			Subject: owner(p), Message: "makes CoreDNS ask itself: its pods have the cluster's own DNS Service as nameserver, and the Corefile forwards to that",
			Evidence: []checks.Evidence{checks.Quote(p.Ref().String()+", spec.dnsPolicy", string(p.DNSPolicy)),
				checks.Quote(configRef(cm).String()+", Corefile", line), checks.Quote(from, address)},
			Remedy: "Set dnsPolicy: Default in the template of the pods, so that they get the nameservers of their nodes.",
			Places: []facts.Ref{p.Ref()},
		})
	}
	return out
}

// forwardsOwn returns the line with which a Corefile forwards to the nameservers of its
// own container, or "".
func forwardsOwn(text string) string {
	file, err := corefile.Parse(text)
	if err != nil {
		return ""
	}
	for _, b := range file.Blocks {
		for _, d := range slices.Concat(b.Find("forward"), b.Find("proxy")) {
			f, ok := d.Forward()
			if ok && slices.ContainsFunc(f.To, func(to corefile.Upstream) bool {
				return to.Kind == corefile.UpstreamFile && to.Path == corefile.ResolvConf
			}) {
				return fmt.Sprintf("line %d: %s %s", d.Line, d.Name, strings.Join(d.Args, " "))
			}
		}
	}
	return ""
}

// givenSelf returns the address by which a pod with the cluster's nameserver asks itself,
// and where it stands. Without the kubelet's configuration it is that of the DNS Service
// before the pod, unless caches on the nodes may be handed out instead.
func givenSelf(s *facts.Snapshot, services []*corev1.Service, cached bool, p *facts.Pod) (from, address string) {
	config := s.Configz[p.Node]
	if config == nil && cached {
		return "", ""
	}
	for _, svc := range services {
		if svc.Namespace != p.Namespace || len(svc.Spec.Selector) == 0 || !facts.Matches(svc.Spec.Selector, p.Labels) {
			continue
		}
		for _, ip := range facts.ClusterIPs(svc) {
			if config == nil || slices.ContainsFunc(config.ClusterDNS, func(given string) bool { return facts.SameIP(given, ip) }) {
				return facts.ServiceRef(svc).String(), "clusterIP: " + ip
			}
		}
	}
	return "", ""
}

// nodeCaches tells whether NodeLocal DNSCache runs.
func nodeCaches(s *facts.Snapshot) bool {
	return slices.ContainsFunc(s.PodsIn("kube-system"), nodeCache)
}
