package coredns

import (
	"fmt"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	responses = "coredns_dns_responses_total"
	durations = "coredns_dns_request_duration_seconds"
	panics    = "coredns_panics_total"
)

// Shares of answers, above which a server is in trouble.
const (
	someFail, manyFail = 0.01, 0.05
	fewAnswers         = 10  // below telling, so many and more than half of them must fail
	mostNXDomain       = 0.6 // of a search list of three a good name takes 3 of 4 answers
)

// ServfailRate finds servers that fail to answer.
var ServfailRate = &checks.Check{
	ID:       "coredns-servfail-rate",
	Title:    "CoreDNS answers without SERVFAIL",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/metrics/",
	Needs:    []*facts.Source{facts.SystemPods, facts.Metrics},
	MayUse:   []*facts.Source{facts.ConfigMaps},
	Parts:    measured,
	When:     unmeasured,
	ByHand: []string{"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:9153/proxy/metrics | grep coredns_dns_responses_total",
		"kubectl -n kube-system logs POD | grep plugin/errors"},
	Run: findServfail,
	Doc: `SERVFAIL says that the server could not find out. Between two reads of its metrics more than 5 in 100 answers were so (or
more than 1, a warning; of fewer than 100 answers, more than half). The label plugin of the metric tells who gave up: **forward** could not ask
upstream, **kubernetes** does not know the cluster's objects.

**How it comes about**: the servers that CoreDNS forwards to are away (**coredns-upstream-failing**), or CoreDNS does not reach the API server
(**coredns-api-unreachable**), or may not read it (**coredns-rbac**): where one of these is found, this is told below it.

**Cure**: that of the cause; the lines of plugin/errors in the log say which names fail, and how.`,
}

func findServfail(s *facts.Snapshot) []checks.Finding {
	return perOwner(windows(s, responses), func(w window) *checks.Finding {
		all, failed := w.Delta(responses), w.Delta(responses, "rcode", "SERVFAIL")
		f := &checks.Finding{
			Message: "answers many questions with SERVFAIL",
			Remedy:  "Look at the lines of plugin/errors in the log: they name the question and what failed.",
		}
		switch {
		case all >= telling && failed > all*manyFail, all < telling && all >= fewAnswers && failed > all/2:
		case all >= telling && failed > all*someFail:
			f.Message, f.Severity = "answers some questions with SERVFAIL", checks.Warning
		default:
			return nil
		}
		f.Evidence = []checks.Evidence{w.quote("SERVFAIL %.0f of %.0f answers%s", failed, all, w.byPlugin())}
		return f
	})
}

// byPlugin tells which plugins gave the answers SERVFAIL, where the metric says.
func (w window) byPlugin() string {
	var out []string
	for _, plugin := range w.Values(responses, "plugin") {
		if n := w.Delta(responses, "rcode", "SERVFAIL", "plugin", plugin); n > 0 && plugin != "" {
			out = append(out, fmt.Sprintf("%s %.0f", plugin, n))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " (by plugin: " + strings.Join(out, ", ") + ")"
}

// NXDomainRatio finds servers that mostly say that a name does not exist.
var NXDomainRatio = &checks.Check{
	ID:       "coredns-nxdomain-ratio",
	Title:    "Most answers of CoreDNS are of use",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-dns-config",
	Needs:    []*facts.Source{facts.SystemPods, facts.Metrics},
	MayUse:   []*facts.Source{facts.ConfigMaps},
	Parts:    measured,
	When:     unmeasured,
	ByHand:   []string{"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:9153/proxy/metrics | grep 'rcode=\"NXDOMAIN\"'"},
	Run:      findNXDomain,
	Doc: `More than 60 in 100 answers say NXDOMAIN. That is what the search list brings about: with ndots:5, which the kubelet writes, a name such as
api.example.com is first tried with every search domain behind it, for A and for AAAA: 2 × (search domains + 1) questions, of which 2 are of use.
Nothing is broken; CoreDNS and whom it forwards to do several times the work.

**Cure**, if the work is too much: end names outside the cluster with a dot in the clients that ask most, give them
dnsConfig.options ndots 2, or run NodeLocal DNSCache. Or let the plugin autopath answer the first try.`,
}

func findNXDomain(s *facts.Snapshot) []checks.Finding {
	return perOwner(windows(s, responses), func(w window) *checks.Finding {
		all, missing := w.Delta(responses), w.Delta(responses, "rcode", "NXDOMAIN")
		if all < telling || missing <= all*mostNXDomain {
			return nil
		}
		return &checks.Finding{
			Message:  "answers most questions with NXDOMAIN: clients try every search domain first",
			Evidence: []checks.Evidence{w.quote("NXDOMAIN %.0f of %.0f answers", missing, all)},
			Remedy:   "Where that is too much work: a trailing dot for names outside the cluster, ndots 2 in dnsConfig of the clients that ask most, or NodeLocal DNSCache.",
		}
	})
}

// Slowest answers, in seconds, that 99 of 100 must not reach: the cluster's own names come
// from memory, others from a server elsewhere.
const (
	slowInside, slowOutside = 0.1, 1.0
)

// Latency finds servers that answer slowly.
var Latency = &checks.Check{
	ID:       "coredns-latency",
	Title:    "CoreDNS answers quickly",
	Severity: checks.Warning,
	URL:      "https://coredns.io/plugins/metrics/",
	Needs:    []*facts.Source{facts.SystemPods, facts.Metrics},
	MayUse:   []*facts.Source{facts.ConfigMaps},
	Parts:    measured,
	When:     unmeasured,
	ByHand:   []string{"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:9153/proxy/metrics | grep coredns_dns_request_duration_seconds"},
	Run:      findLatency,
	Doc: `Of the questions between two reads of the metrics one in a hundred took longer than a second (or 100 ms, in a server block for the cluster's
names alone, which are answered from memory). Programs wait that long before each connection.

**How it comes about**: a server that CoreDNS forwards to is slow or loses packets; each timeout costs 2 seconds before the next server is tried
(plugin forward, read_timeout). CoreDNS has no processor time (**coredns-cpu**).

**Cure**: that of the cause. Take a dead server out of the list behind forward; raise the CPU limit, or run more replicas.`,
}

func findLatency(s *facts.Snapshot) []checks.Finding {
	return perOwner(windows(s, durations), func(w window) *checks.Finding {
		for _, zone := range w.Values(durations, "zone") {
			limit := slowInside
			if zone == "." || zone == "dropped" {
				limit = slowOutside
			}
			bound, count := w.Quantile(0.99, durations, "zone", zone)
			if count < telling || bound <= limit {
				continue
			}
			at := fmt.Sprintf("up to %g s", bound)
			if bound > 10 {
				at = "beyond what is measured"
			}
			return &checks.Finding{
				Message:  fmt.Sprintf("takes long over one in a hundred questions of the zone %s", zone),
				Evidence: []checks.Evidence{w.quote("99 in 100 of %.0f questions took %s", count, at)},
				Remedy:   "See whether a server that CoreDNS forwards to is slow or away, and whether CoreDNS has the processor time that it needs.",
			}
		}
		return nil
	})
}

// Panics finds servers whose code fell over a question.
var Panics = &checks.Check{
	ID:       "coredns-panics",
	Title:    "CoreDNS does not panic",
	Severity: checks.Error,
	URL:      "https://coredns.io/plugins/metrics/",
	Needs:    []*facts.Source{facts.SystemPods, facts.Metrics},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.PodLogs},
	Parts:    measured,
	When:     unmeasured,
	ByHand: []string{"kubectl get --raw /api/v1/namespaces/kube-system/pods/POD:9153/proxy/metrics | grep coredns_panics_total",
		"kubectl -n kube-system logs POD | grep 'Recovered from panic'"},
	Run: findPanics,
	Doc: `A fault in CoreDNS or one of its plugins made it fall over a question. It caught itself and answered SERVFAIL, counts that in
coredns_panics_total, and writes "Recovered from panic in server" into its log. More between two reads is an error; some since it was
started, a warning.

**How it comes about**: a bug that certain questions bring out, often in a plugin that is not part of the usual build. Anybody who can ask may be able to bring it out.

**Cure**: bring CoreDNS up to the newest version that the cluster's takes; take the plugin that the log's trace names out of the Corefile. Report it with the trace.`,
}

func findPanics(s *facts.Snapshot) []checks.Finding {
	return perOwner(windows(s, panics), func(w window) *checks.Finding {
		now, ever := w.Delta(panics), w.Total(panics)
		f := &checks.Finding{
			Message:  "falls over questions (panics)",
			Evidence: []checks.Evidence{w.quote("coredns_panics_total %.0f, %.0f more", ever, now)},
			Remedy:   "Bring CoreDNS up to a newer version, and take the plugin that the trace in its log names out of the Corefile.",
		}
		switch {
		case ever == 0:
			return nil
		case now == 0:
			f.Message, f.Severity = "fell over questions since it was started (panics)", checks.Warning
		}
		for _, line := range w.v.words(s) {
			if strings.Contains(line.text, "Recovered from panic") {
				f.Evidence = append(f.Evidence, checks.QuoteLog(w.v.pod, line.which, line.line))
				break
			}
		}
		return f
	})
}
