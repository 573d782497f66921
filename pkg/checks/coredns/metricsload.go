package coredns

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	requests      = "coredns_dns_requests_total"
	processor     = "process_cpu_seconds_total"
	cacheRequests = "coredns_cache_requests_total"
	cacheHits     = "coredns_cache_hits_total"
	evictions     = "coredns_cache_evictions_total"
)

const (
	// nearLimit is the share of the CPU limit above which a server is held up.
	nearLimit = 0.9
	// perCore is how many questions a second a core can answer: CoreDNS's own measurement has
	// 33,669 internal questions a second on two cores (Scaling_CoreDNS.md).
	perCore = 15000
	// busy is from how many questions a second on a cache is worth a thought.
	busy = 100
	// fewHits is the share of questions below which a cache is of little use.
	fewHits = 0.2
)

// CPU finds servers that have no processor time left.
var CPU = &checks.Check{
	ID:       "coredns-cpu",
	Title:    "CoreDNS has processor time to spare",
	Severity: checks.Warning,
	URL:      "https://github.com/coredns/deployment/blob/master/kubernetes/Scaling_CoreDNS.md",
	Needs:    []*facts.Source{facts.SystemPods, facts.Metrics},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.SystemDeployments},
	Parts:    measured,
	When:     unmeasured,
	Explains: []*checks.Check{Latency, symptom.DNSDelay},
	ByHand: []string{"kubectl -n kube-system top pods -l k8s-app=kube-dns",
		"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:9153/proxy/metrics | grep -E 'process_cpu_seconds_total|coredns_dns_requests_total'"},
	Run: findCPU,
	Doc: `Between two reads of its metrics a server used more than 90 in 100 of its CPU limit, or was asked more than 15,000 questions a second, which is what a
core can answer (33,669 a second on two cores, as CoreDNS has measured itself). At its limit it is held up for the rest of each tenth of a second, and
questions wait and are lost.

**How it comes about**: too few replicas for the cluster; clients that ask for every name several times (**coredns-nxdomain-ratio**) or without any
cache; the plugin log turned on.

**Cure**: more replicas, or NodeLocal DNSCache; raise or drop the CPU limit.`,
}

func findCPU(s *facts.Snapshot) []checks.Finding {
	f := newFleet(s)
	return perOwner(windows(s, processor, requests), func(w window) *checks.Finding {
		used, asked := w.Delta(processor)/w.Seconds, w.Delta(requests)/w.Seconds
		limit := cpuLimit(f.container(w.v))
		out := &checks.Finding{
			Remedy: "Run more replicas of CoreDNS, or NodeLocal DNSCache on the nodes; raise or drop its CPU limit.",
		}
		switch {
		case limit > 0 && used >= limit*nearLimit:
			out.Message = "is at its CPU limit: questions wait, and some are lost"
			out.Evidence = []checks.Evidence{w.quote("%.2f cores used, %.0f questions a second,", used, asked),
				checks.Quote(owner(w.v.pod).String()+", resources.limits.cpu", fmt.Sprintf("%g", limit))}
		case asked > perCore:
			out.Message = "is asked more than a core can answer"
			out.Evidence = []checks.Evidence{w.quote("%.0f questions a second, %.2f cores used,", asked, used)}
		default:
			return nil
		}
		return out
	})
}

// cpuLimit returns a container's limit in cores; 0 where there is none or it is not known.
func cpuLimit(c *corev1.Container) float64 {
	if c == nil {
		return 0
	}
	return c.Resources.Limits.Cpu().AsApproximateFloat64()
}

// Cache finds servers that forward without a cache, or whose cache is of little use.
var Cache = &checks.Check{
	ID:       "coredns-cache",
	Title:    "CoreDNS caches what it forwards",
	Severity: checks.Info,
	URL:      "https://coredns.io/plugins/cache/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	MayUse:   []*facts.Source{facts.Metrics},
	Parts:    cacheParts,
	ByHand: []string{"kubectl -n kube-system get configmap coredns -o yaml",
		"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:9153/proxy/metrics | grep coredns_cache_"},
	Run: findCache,
	Doc: `The plugin **cache** keeps answers of the servers that CoreDNS forwards to. Without it every question for a name outside the cluster goes to
them: a warning, since they limit how much they are asked, and since a moment's absence of theirs is everybody's. With it, a server that is asked more than
100 questions a second and finds fewer than 20 in 100 in its cache gets little out of it; where it throws entries out to make room (evictions), the
cache is too small.

A cache that leaves the cluster's zone out on purpose, as the Corefile of kubeadm 1.32 and later does, is left out here: the share says nothing then.

**Cure**: write ` + "`cache 30`" + ` into the block that forwards. Where entries are thrown out, give ` + "`success`" + ` and ` + "`denial`" + ` more room (9984 each unless set).`,
}

func findCache(s *facts.Snapshot) []checks.Finding {
	if out := uncached(s); len(out) > 0 || !wholeCache(s) {
		return out
	}
	return perOwner(windows(s, cacheRequests, cacheHits, evictions), littleUse)
}

// cacheParts: how much a cache is of use only the metrics tell, where that is to be asked.
func cacheParts(s *facts.Snapshot) []checks.Part {
	if unmeasured(s) != "" || s.Unheard[facts.Metrics.Name] || len(uncached(s)) > 0 || !wholeCache(s) {
		return nil
	}
	return measured(s)
}

// uncached finds blocks that forward without a cache.
func uncached(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		for _, b := range Uncached(c.file) {
			f := c.finding("forwards without a cache: every question for a name outside the cluster goes upstream",
				"Write cache 30 into the block: "+c.edit()+".", c.quoteBlock(b))
			f.Severity = checks.Warning
			f.Unexplained = true // what keeps answers from a cache takes no plugin out of a Corefile
			out = append(out, f)
		}
	}
	return out
}

// wholeCache tells whether no cache leaves a zone out.
func wholeCache(s *facts.Snapshot) bool {
	for _, c := range configs(s) {
		for _, b := range c.file.Blocks {
			if slices.ContainsFunc(b.Find("cache"), func(d *corefile.Directive) bool { return len(d.Find("disable")) > 0 }) {
				return false
			}
		}
	}
	return true
}

func littleUse(w window) *checks.Finding {
	asked, found := w.Delta(cacheRequests), w.Delta(cacheHits)
	if asked/w.Seconds < busy || found >= asked*fewHits {
		return nil
	}
	f := &checks.Finding{
		Message:  "finds few answers in its cache",
		Evidence: []checks.Evidence{w.quote("%.0f of %.0f questions found in the cache", found, asked)},
		Remedy:   "See which names are asked for: names that differ each time, or answers with a TTL of seconds, cannot be cached.",
	}
	if n := w.Delta(evictions); n > 0 {
		f.Evidence = slices.Insert(f.Evidence, 1, w.quote("%.0f entries thrown out", n))
		f.Remedy = "Give the cache more room in the Corefile: success and denial take a number of entries, 9984 unless set."
	}
	return f
}
