package coredns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NodeLocalUpstream finds caches of nodes that reach no CoreDNS behind them.
var NodeLocalUpstream = &checks.Check{
	ID:       "nodelocaldns-upstream",
	Title:    "NodeLocal DNSCache reaches CoreDNS for the names that it does not know",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/#configuration",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemServices, facts.ConfigMaps, facts.SystemEndpointSlices},
	MayUse:   []*facts.Source{facts.Configz},
	IfRead:   []*facts.Source{facts.Services}, // to know that nobody has an address
	When:     noCaches,
	Explains: []*checks.Check{NodeLocalUnhealthy},
	ByHand: []string{"kubectl -n kube-system get service kube-dns-upstream; kubectl -n kube-system get endpointslices -l kubernetes.io/service-name=kube-dns-upstream",
		"kubectl -n kube-system get configmap node-local-dns -o yaml",
		"kubectl -n kube-system exec POD -- cat /etc/Corefile"},
	Run: findNodeLocalUpstream,
	Doc: `What NodeLocal DNSCache does not know it asks CoreDNS. The manifest has the word ` + "`__PILLAR__CLUSTER__DNS__`" + ` where the address belongs;
when it starts, each cache puts the address of the Service that its argument ` + "`-upstreamsvc`" + ` names in its place (kube-dns-upstream, a second
Service in front of the CoreDNS pods), and ` + "`<nil>`" + ` if there is no such Service: it then exits. Names of the cluster fail on all nodes, CoreDNS
itself is in perfect health.

It comes about by a Service that was left out or deleted, by a selector that matches no CoreDNS pod, by one that was made again and has another address
than the running caches remember, by an address written into the ConfigMap that no Service has any more, or by a ` + "`forward`" + ` to an
address on which the cache itself listens: then it asks itself, and exits (` + "`plugin/loop: Loop … detected`" + `).

Cure: make the Service again with the selector of the DNS Service (it stands in the manifest of NodeLocal DNSCache), or write the right address
into the ConfigMap; then ` + "`kubectl -n kube-system rollout restart daemonset node-local-dns`" + `: the caches ask for the address only when they start.`,
}

// upstreamWord is where a cache puts the address of its upstream Service (k8s.io/dns
// cmd/node-cache/app/configmap.go).
const upstreamWord = "__PILLAR__CLUSTER__DNS__"

func findNodeLocalUpstream(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, g := range cacheGroups(s) {
		cm, text := g.config(s)
		if cm == nil {
			continue
		}
		if line := lineWith(text, upstreamWord); line != "" {
			if f, found := g.upstreamService(s, checks.Quote(configRef(cm).String(), line)); found {
				out = append(out, f)
			}
		}
		if file, err := corefile.Parse(text); err == nil {
			out = append(out, g.upstreamAddresses(s, cm, file)...)
		}
	}
	return out
}

// cacheGroup is the caches of one owner that are started alike: judged by the first of them.
type cacheGroup struct {
	cache
	pods []cache
}

func cacheGroups(s *facts.Snapshot) []*cacheGroup {
	type alike struct {
		spec     *facts.ContainerSpec
		template *facts.Template
	}
	known := map[alike]*cacheGroup{}
	var out []*cacheGroup
	for _, c := range caches(s) {
		if c.pod.Deleting {
			continue
		}
		key := alike{c.container.ContainerSpec, c.pod.Template}
		if known[key] == nil {
			known[key] = &cacheGroup{cache: c}
			out = append(out, known[key])
		}
		known[key].pods = append(known[key].pods, c)
	}
	return out
}

// finding makes a finding whose fault shows in all of the caches.
func (g *cacheGroup) finding(subject facts.Ref, message, remedy string, evidence ...checks.Evidence) checks.Finding {
	f := checks.Finding{Subject: subject, Message: message, Remedy: remedy, Evidence: evidence}
	for _, c := range g.pods {
		f.Places = append(f.Places, c.pod.Ref())
	}
	return f
}

func (g *cacheGroup) restart() string {
	return checks.Command("kubectl -n %s rollout restart daemonset %s", g.pod.Namespace, owner(g.pod).Name)
}

// lineWith returns the first line in which a word stands, comments left out.
func lineWith(text, word string) string {
	for line := range strings.Lines(text) {
		if said, _, _ := strings.Cut(line, "#"); strings.Contains(said, word) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// upstreamService judges the Service that caches take their upstream's address from.
func (g *cacheGroup) upstreamService(s *facts.Snapshot, asks checks.Evidence) (f checks.Finding, found bool) {
	name := argument(g.container.Command, "upstreamsvc")
	if name == "" {
		name = "kube-dns" // what node-cache takes then (k8s.io/dns cmd/node-cache/main.go)
	}
	svc := s.Service(g.pod.Namespace, name)
	ref := facts.Ref{Kind: "Service", Namespace: g.pod.Namespace, Name: name}
	named := checks.Quote(containerOf(owner(g.pod), g.container.Name), "-upstreamsvc "+name)
	if svc == nil {
		return g.finding(owner(g.pod), "has no upstream: the Service through which it asks CoreDNS does not exist",
			fmt.Sprintf("Make %s with the selector and the ports of the DNS Service, then restart the caches: %s.", ref, g.restart()),
			named, asks, checks.Quote("Services of "+g.pod.Namespace, "none is called "+name)), true
	}
	if unserved(s, svc) {
		return g.finding(ref, "has no ready endpoint, and the DNS caches of the nodes ask CoreDNS through it: names of the cluster do not resolve",
			"Give it the selector of the DNS Service, which has ready endpoints.",
			named, asks, checks.Quote(ref.String()+", spec.selector", pairs(svc.Spec.Selector))), true
	}
	return g.startedBefore(s, svc, named, asks)
}

// unserved tells whether nothing ready stands behind the upstream although CoreDNS itself
// answers behind the DNS Service.
func unserved(s *facts.Snapshot, svc *corev1.Service) bool {
	if ready, _ := s.ReadyEndpoints(svc); ready > 0 || s.Taken.Sub(svc.CreationTimestamp.Time) < grace {
		return false
	}
	return slices.ContainsFunc(s.DNSServices(), func(other *corev1.Service) bool {
		ready, _ := s.ReadyEndpoints(other)
		return other != svc && ready > 0
	})
}

// startedBefore finds caches that run since before their upstream was made. The DNS
// Service is left out: it is made again with the address that everybody knows.
func (g *cacheGroup) startedBefore(s *facts.Snapshot, svc *corev1.Service, evidence ...checks.Evidence) (f checks.Finding, found bool) {
	made := svc.CreationTimestamp.Time
	if made.IsZero() || slices.Contains(s.DNSServices(), svc) {
		return f, false
	}
	f = checks.Finding{
		Subject: owner(g.pod), Severity: checks.Warning,
		Message:  "runs since before its upstream Service was made: it may ask an address that no Service has any more",
		Evidence: append(evidence, checks.Quote(facts.ServiceRef(svc).String(), "made at "+made.UTC().Format(time.RFC3339))),
		Remedy:   fmt.Sprintf("Restart the caches, which look for the address only when they start: %s.", g.restart()),
	}
	for _, c := range g.pods {
		state := c.container.State
		if !c.pod.Ready || state.Phase != facts.Running || state.Started == 0 || !state.Started.Time().Before(made) {
			continue
		}
		if len(f.Places) == 0 {
			f.Evidence = append(f.Evidence, checks.Quote(containerOf(c.pod.Ref(), c.container.Name), "started at "+state.Started.Time().Format(time.RFC3339)))
		}
		f.Places = append(f.Places, c.pod.Ref())
	}
	return f, len(f.Places) > 0
}

// upstreamAddresses judges the addresses that the caches' Corefile forwards to.
func (g *cacheGroup) upstreamAddresses(s *facts.Snapshot, cm *corev1.ConfigMap, file *corefile.File) []checks.Finding {
	var out []checks.Finding
	unowned := s.Missing(facts.Services) == "" && s.Scope == ""
	for _, b := range file.Blocks {
		for _, d := range b.Find("forward") {
			forward, _ := d.Forward()
			for _, to := range forward.To {
				if to.Kind != corefile.UpstreamAddress || to.Port != "53" {
					continue
				}
				addr := to.Addr.Unmap()
				line := checks.Quote(configRef(cm).String(), fmt.Sprintf("line %d: %s %s (block %s)", d.Line, d.Name, strings.Join(d.Args, " "), strings.Join(b.Keys, " ")))
				switch {
				case slices.Contains(g.listens, addr):
					out = told(out, g.asksItself(configRef(cm), addr, line))
				case unowned && clusterZone(s, b) && strayAddress(s, addr):
					out = told(out, g.finding(configRef(cm), fmt.Sprintf("sends the DNS caches of the nodes to %s for the cluster's names, an address that no Service has", addr),
						"Write the DNS Service's address, or that of a second Service in front of the CoreDNS pods, in its place; then restart the caches: "+g.restart()+".", line))
				}
			}
		}
	}
	return out
}

func (g *cacheGroup) asksItself(subject facts.Ref, addr netip.Addr, line checks.Evidence) checks.Finding {
	return g.finding(subject, fmt.Sprintf("makes the DNS caches of the nodes ask themselves: they forward to %s, on which they listen", addr),
		fmt.Sprintf("Write %s in place of %s and let -upstreamsvc name a second Service in front of the CoreDNS pods; with kube-proxy in mode ipvs, take the address out of -localip and bind instead.",
			upstreamWord, addr), line, g.bound())
}

// clusterZone tells whether a block is for names of the cluster.
func clusterZone(s *facts.Snapshot, b *corefile.Block) bool {
	for _, k := range s.Configz {
		domain := strings.ToLower(strings.TrimSuffix(k.ClusterDomain, ".")) + "."
		if domain != "." && slices.Contains(b.Zones(), domain) {
			return true
		}
	}
	return slices.Contains(b.Zones(), "cluster.local.")
}

// strayAddress tells whether an address is among those of Services, and neither a Service
// nor a DNS server has it.
func strayAddress(s *facts.Snapshot, addr netip.Addr) bool {
	is := func(ip string) bool { return facts.SameIP(ip, addr.String()) }
	return nearServices(s, addr) &&
		!slices.ContainsFunc(s.Services, func(svc *corev1.Service) bool { return slices.ContainsFunc(facts.ClusterIPs(svc), is) }) &&
		!slices.ContainsFunc(s.DNSPods(), func(p *facts.Pod) bool { return slices.ContainsFunc(p.IPs(), is) })
}
