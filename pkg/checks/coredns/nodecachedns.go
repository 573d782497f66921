package coredns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NodeLocalClusterDNS finds caches of nodes that listen where pods do not ask, or where they
// must not.
var NodeLocalClusterDNS = &checks.Check{
	ID:       "nodelocaldns-clusterdns",
	Title:    "NodeLocal DNSCache listens where the kubelets send their pods",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/#configuration",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemServices},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.Nodes, facts.Configz},
	Parts:    cacheConfigz,
	When:     noCaches,
	ByHand: []string{"kubectl -n kube-system get pods -l k8s-app=node-local-dns -o wide",
		"kubectl -n kube-system get daemonset node-local-dns -o jsonpath='{.spec.template.spec.containers[0].args}'",
		"kubectl -n kube-system get configmap kube-proxy -o yaml | grep mode:", `kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`},
	Run: findNodeLocalClusterDNS,
	Doc: `NodeLocal DNSCache listens on an address of its own (169.254.20.10) and, where kube-proxy is in mode iptables, on that of
the DNS Service as well, so that pods find it without a change at the kubelets. Its argument ` + "`-localip`" + ` says where.

In mode **ipvs** it must not have the DNS Service's address: kube-proxy holds that on its own interface, and the rules with which the cache
keeps its traffic out of connection tracking undo IPVS's work for it. Names stop resolving when the cache is installed, with all pods Running.
There the manifest needs the DNS Service's address as the upstream, not in ` + "`-localip`" + `, and every kubelet the cache's own as ` + "`clusterDNS`" + `.

If a kubelet hands out the cache's own address and **no cache runs on its node**, nobody answers there: the DaemonSet leaves the node
out by a node selector, an affinity or a taint. The other way round, where the cache listens on its own address alone and a kubelet
hands out that of the Service, names resolve and the cache is idle.

Cure: in mode ipvs take the Service's address out of ` + "`-localip`" + ` and out of ` + "`bind`" + ` in the ConfigMap, and set ` + "`clusterDNS`" + ` of the
kubelets to the cache's address. A node that is left out needs a toleration in the DaemonSet, or the Service's address as its
` + "`clusterDNS`" + `. Pods keep the resolv.conf that they started with: re-create them.`,
}

// cacheConfigz names the kubelets' configurations, where they are looked at.
func cacheConfigz(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, n := range s.LinuxNodes() {
		if s.Depth >= facts.Configz.Depth {
			out = append(out, checks.Part{Source: facts.Configz, Key: n.Name})
		}
	}
	return out
}

func findNodeLocalClusterDNS(s *facts.Snapshot) []checks.Finding {
	list, services := caches(s), dnsAddresses(s)
	out := boundInIPVS(s, list, services)
	on, own := map[string]cache{}, map[netip.Addr]bool{}
	for _, c := range list {
		on[c.pod.Node] = c
		for _, addr := range c.listens {
			own[addr] = own[addr] || services[addr] == nil
		}
	}
	for _, n := range s.LinuxNodes() {
		given := givenOn(s, n)
		if len(given) == 0 {
			continue
		}
		c, runs := on[n.Name]
		listens := func(addr netip.Addr) bool { return slices.Contains(c.listens, addr) }
		switch {
		case !runs && settledNode(s, n) && !slices.ContainsFunc(given, func(addr netip.Addr) bool { return !own[addr] }):
			out = append(out, noCacheHere(n, given, list))
		case runs && len(c.listens) > 0 && !slices.ContainsFunc(given, listens) && !slices.ContainsFunc(given, func(addr netip.Addr) bool { return services[addr] == nil }):
			out = append(out, idleCache(n, given, c))
		}
	}
	return out
}

// boundInIPVS finds caches with the address of a DNS Service beside a kube-proxy in mode ipvs.
func boundInIPVS(s *facts.Snapshot, list []cache, services map[netip.Addr]*corev1.Service) []checks.Finding {
	nodes := ipvsNodes(s)
	var out []checks.Finding
	for _, c := range list {
		i := slices.IndexFunc(c.listens, func(addr netip.Addr) bool { return services[addr] != nil })
		mode, is := nodes[c.pod.Node]
		if i < 0 || !is || c.pod.Deleting {
			continue
		}
		svc := services[c.listens[i]]
		out = told(out, checks.Finding{
			Subject: owner(c.pod),
			Message: "listens on the DNS Service's address, which kube-proxy in mode ipvs holds: names do not resolve on its nodes",
			Evidence: []checks.Evidence{c.bound(), checks.Quote(facts.ServiceRef(svc).String(), "clusterIP: "+c.listens[i].String()),
				checks.Quote(mode.from, mode.text)},
			Remedy: fmt.Sprintf("Take %s out of -localip and out of bind in the cache's ConfigMap, make it the upstream there in place of __PILLAR__CLUSTER__DNS__, "+
				"and let the kubelets hand out the cache's own address (clusterDNS).", c.listens[i]),
			Places: []facts.Ref{c.pod.Ref()},
		})
	}
	return out
}

// givenOn returns the nameservers that a node's kubelet hands out, as far as they are known.
func givenOn(s *facts.Snapshot, n *corev1.Node) []netip.Addr {
	k := s.Configz[n.Name]
	if k == nil {
		return nil
	}
	var out []netip.Addr
	for _, ip := range k.ClusterDNS {
		if addr, err := netip.ParseAddr(strings.TrimSpace(ip)); err == nil {
			out = append(out, addr.Unmap())
		}
	}
	return out
}

// settledNode tells whether a node has been there long enough for a DaemonSet to have made
// its pod.
func settledNode(s *facts.Snapshot, n *corev1.Node) bool {
	c := facts.NodeReady(n)
	return c != nil && c.Status == corev1.ConditionTrue && s.Taken.Sub(c.LastTransitionTime.Time) >= grace && s.Taken.Sub(n.CreationTimestamp.Time) >= grace
}

func noCacheHere(n *corev1.Node, given []netip.Addr, list []cache) checks.Finding {
	c := list[slices.IndexFunc(list, func(c cache) bool { return slices.Contains(c.listens, given[0]) })]
	f := checks.Finding{
		Subject: facts.NodeRef(n.Name),
		Message: "tells its pods to ask the DNS cache of their node, and none runs there: names do not resolve in them",
		Evidence: []checks.Evidence{checks.Quote("Node "+n.Name+", kubelet configz", "clusterDNS: "+joinAddrs(given)), c.bound(),
			checks.Quote(owner(c.pod).String(), fmt.Sprintf("has pods on other nodes (%s on %s), and none on this one", c.pod.Name, c.pod.Node))},
		Remedy: fmt.Sprintf("See why %s leaves the node out (node selector, affinity, a taint that it does not tolerate), or set clusterDNS of the kubelet to the DNS Service's address.",
			owner(c.pod)),
	}
	if taints := facts.Repelling(n, c.pod); len(taints) > 0 {
		f.Evidence = append(f.Evidence, checks.Quote(f.Subject.String()+", taints", taints[0].ToString()))
	}
	return f
}

func idleCache(n *corev1.Node, given []netip.Addr, c cache) checks.Finding {
	return checks.Finding{
		Subject: facts.NodeRef(n.Name), Severity: checks.Info,
		Message:  "runs a DNS cache that its pods are not told to ask: they ask the DNS Service",
		Evidence: []checks.Evidence{checks.Quote("Node "+n.Name+", kubelet configz", "clusterDNS: "+joinAddrs(given)), c.bound()},
		Remedy:   fmt.Sprintf("Set clusterDNS: [%s] in the kubelet's configuration and restart it; pods made after that ask the cache.", c.listens[0]),
	}
}

func joinAddrs(list []netip.Addr) string {
	var out []string
	for _, addr := range list {
		out = append(out, addr.String())
	}
	return strings.Join(out, ", ")
}
