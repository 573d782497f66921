package coredns

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NodeLocalUnhealthy finds nodes whose DNS cache does not run, and caches that do not know
// the cluster's domain.
var NodeLocalUnhealthy = &checks.Check{
	ID:       "nodelocaldns-unhealthy",
	Title:    "NodeLocal DNSCache runs on every node that has it, and knows the cluster's domain",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/",
	Needs:    []*facts.Source{facts.SystemPods},
	MayUse:   []*facts.Source{facts.Nodes, facts.SystemEvents, facts.ConfigMaps, facts.PodLogs},
	Explains: []*checks.Check{symptom.PodNotReady},
	ByHand: []string{"kubectl -n kube-system get pods -l k8s-app=node-local-dns -o wide",
		"kubectl -n kube-system logs -l k8s-app=node-local-dns --previous",
		"kubectl -n kube-system get configmap node-local-dns -o yaml | grep __PILLAR__"},
	Run: findNodeLocalUnhealthy,
	Doc: `NodeLocal DNSCache answers the pods of its node on an address that it puts on a dummy interface there: 169.254.20.10, and with
kube-proxy in mode iptables that of the DNS Service too. When it dies without having taken the interface down, as after being killed
for want of memory, questions keep going to that address and nobody answers: no name resolves in any pod of that node, while
CoreDNS and its Service are in perfect health.

It comes about by a forward that leads back to the cache (` + "`plugin/loop: Loop … detected`" + `), by arguments in which ` + "`__PILLAR__`" + ` words
were not filled in, by another DNS server on port 53 of the node, by an image that cannot be pulled, or by too little memory.

The manifest is a template. The caches fill in ` + "`__PILLAR__CLUSTER__DNS__` and `__PILLAR__UPSTREAM__SERVERS__`" + ` themselves, and never
` + "`__PILLAR__DNS__DOMAIN__`" + `: where that was left, they run, and send the questions for Services to the servers outside (NXDOMAIN).

Cure: the pod's previous log says which. Until it runs, pods on that node can be moved away (` + "`kubectl drain`" + `). A forgotten
` + "`__PILLAR__DNS__DOMAIN__`" + ` is to be replaced by the cluster's domain in the ConfigMap.`,
}

func findNodeLocalUnhealthy(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	told := map[*corev1.ConfigMap]int{}
	for _, ns := range facts.SystemNamespaces() {
		for _, p := range s.PodsIn(ns) {
			if !nodeCache(p) {
				continue
			}
			if cm, key := unfilled(s, p); cm != nil {
				if _, found := told[cm]; !found {
					told[cm] = len(out)
					out = append(out, unfilledFinding(cm, key))
				}
				i := told[cm]
				out[i].Places = append(out[i].Places, p.Ref())
			}
			if cacheDown(s, p) {
				out = append(out, downFinding(s, p))
			}
		}
	}
	return out
}

func downFinding(s *facts.Snapshot, p *facts.Pod) checks.Finding {
	f := checks.Finding{
		Subject:  p.Ref(),
		Message:  "is the node's DNS cache and does not run (" + p.Trouble() + "): names may not resolve in any pod of its node",
		Evidence: cacheEvidence(s, p),
		Remedy:   "Read kubectl logs --previous and kubectl describe of the pod, and cure what they name; until then, move pods off the node.",
	}
	for i := range p.Containers {
		v := server{p, &p.Containers[i]}
		zone, line, found := loopTold(s, v)
		if !found {
			continue
		}
		f.Message = fmt.Sprintf("is the node's DNS cache and exits, because what it forwards for zone %q comes back to it: names may not resolve in any pod of its node", zone)
		f.Evidence = append([]checks.Evidence{v.quote(line)}, f.Evidence...)
		f.Remedy = "Look in the ConfigMap of the caches where that zone is forwarded to: an address on which they listen, or one that the network plugin leads back to them."
		if zone == "." {
			f.Remedy = "Let resolvConf of the node's kubelet name a file without loopback addresses and without the cache's own, or write real servers into the block for \".\" of the caches' ConfigMap; then delete the pod."
		}
	}
	return f
}

// domainWord is what the installer has to replace by the cluster's domain. node-cache
// replaces the other words of that form itself (k8s.io/dns cmd/node-cache/app, updateCorefile).
const domainWord = "__PILLAR__DNS__DOMAIN__"

// unfilled returns the ConfigMap of a cache that still has the word for the domain, and
// where in it.
func unfilled(s *facts.Snapshot, p *facts.Pod) (*corev1.ConfigMap, string) {
	for _, of := range p.ConfigMaps {
		cm := s.ConfigMap(p.Namespace, of)
		if cm == nil {
			continue
		}
		for _, key := range keysOf(cm) {
			if len(unfilledLines(cm.Data[key])) > 0 {
				return cm, key
			}
		}
	}
	return nil, ""
}

func unfilledFinding(cm *corev1.ConfigMap, key string) checks.Finding {
	f := checks.Finding{
		Subject: configRef(cm),
		Message: "has " + domainWord + " where the cluster's domain belongs: the caches on the nodes ask the servers outside for the names of Services",
		Remedy:  checks.Command("Write the cluster's domain, such as cluster.local, in place of %s: kubectl -n %s edit configmap %s.", domainWord, cm.Namespace, cm.Name),
	}
	for _, line := range unfilledLines(cm.Data[key]) {
		f.Evidence = append(f.Evidence, checks.Quote(configRef(cm).String()+", "+key, line))
	}
	return f
}

// unfilledLines returns the lines with the word for the domain, without comments.
func unfilledLines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if said, _, _ := strings.Cut(line, "#"); strings.Contains(said, domainWord) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// nodeCache tells whether a pod is one of NodeLocal DNSCache, whose image RKE2 builds under
// another name (rancher/hardened-dns-node-cache).
func nodeCache(p *facts.Pod) bool {
	return p.HostNetwork && slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return strings.Contains(c.Image, "dns-node-cache") })
}

// cacheDown tells whether a cache does not run although its node does.
func cacheDown(s *facts.Snapshot, p *facts.Pod) bool {
	if p.Ready || p.Deleting || p.Finished() || p.Node == "" {
		return false
	}
	if n := s.Node(p.Node); n != nil {
		if c := facts.NodeReady(n); c != nil && c.Status != corev1.ConditionTrue {
			return false // nothing of that node is known
		}
	}
	restarted := slices.ContainsFunc(p.Containers, func(c facts.Container) bool { return c.Restarts > 0 })
	return restarted && s.Taken.Sub(p.ReadySince.Time()) >= crashGrace || s.Taken.Sub(p.Created.Time()) >= grace && !restarted
}

// crashGrace is what one restart may take.
const crashGrace = 10 * time.Second

func cacheEvidence(s *facts.Snapshot, p *facts.Pod) []checks.Evidence {
	var out []checks.Evidence
	for i := range p.Containers {
		c := &p.Containers[i]
		from := p.Ref().String() + ", container " + c.Name
		if c.State.Phase == facts.Waiting {
			out = append(out, checks.Quote(from, strings.TrimSuffix(c.State.Reason+": "+c.State.Message, ": ")))
		}
		if last := c.Last(); last.Phase == facts.Terminated {
			out = append(out, checks.Quote(from+", before", strings.TrimSuffix(last.Reason+": "+last.Message, ": ")))
		}
	}
	if e := s.LastWarning(p.Ref()); e != nil {
		out = append(out, checks.Quote(p.Ref().String()+", event "+e.Reason, e.Message))
	}
	return append(out, checks.Quote(p.Ref().String()+", spec.nodeName", p.Node))
}
