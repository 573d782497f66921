package coredns

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// UpstreamFailing finds servers whose questions to the outside get no answer.
var UpstreamFailing = &checks.Check{
	ID:       "coredns-upstream-failing",
	Title:    "The servers that CoreDNS forwards to answer",
	Severity: checks.Warning, // the log has no times: it may be over
	URL:      "https://coredns.io/plugins/forward/",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.Proxy, facts.Answers},
	Parts:    runningLogs,
	Explains: []*checks.Check{MaxConcurrent, PodOutside, ServfailRate, Latency, symptom.DNSProbeExternal},
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-dns --tail=500 | grep plugin/errors",
		"kubectl run dns --rm -it --restart=Never --image=busybox:1.36 -- nslookup example.com UPSTREAM"},
	Run: findUpstreamFailing,
	Doc: `Names outside the cluster are forwarded, normally to the nameservers of the node's resolv.conf. Where no answer comes,
CoreDNS logs ` + "`plugin/errors: 2 example.com. A: read udp 10.244.0.5:40000->10.0.0.2:53: i/o timeout`" + `, and the program that asked
waits for seconds and gets SERVFAIL. Names of the cluster still resolve. A question of type HINFO among them is CoreDNS's own,
sent by the plugin **loop** at its start: then no question has been answered since.

It comes about by a nameserver that is down or was moved, by a firewall or security group that lets through UDP or TCP port 53
from the nodes and not from pods, by a network plugin that does not masquerade pods' addresses towards the outside, by a NetworkPolicy
that selects the CoreDNS pods, or by a VPN that rewrote the node's resolv.conf (100.100.100.100 of Tailscale).

A finding needs ten failed questions since the configuration came into force, for three different names or the loop plugin's own, and
at least one for each hour that the server has run. Where its metrics can be read, at least one in twenty must have failed. Lines of a log
may tell of what is over: it is a warning, and an error where a name that the pod was asked for at this very moment (--outside-name) does not resolve, either.

Cure: ask that server from a pod on the same node and from the node itself. If the node gets an answer and the pod none, it is
the network between; if neither does, the nameserver. Until then, forward to servers that answer:
` + "`kubectl -n kube-system edit configmap coredns`" + `.`,
}

const (
	fewFailures = 10 // less is what any network loses
	fewNames    = 3  // less may be the fault of the names' own servers
	failedShare = 20 // one in so many
)

// failedLine matches what the plugin errors says of a question that was forwarded
// (coredns plugin/errors/errors.go around an error of Go's package net, or of
// plugin/forward/forward.go).
var failedLine = regexp.MustCompile(`plugin/errors: -?\d+ (\S+) (\S+): (?:(?:read|write|dial) (?:udp|tcp)[46]? (?:\S+->)?(\S+): (?:\w+: )?` +
	`(?:i/o timeout|connection refused|no route to host|network is unreachable|operation not permitted)|no healthy proxies)`)

// failures is what one server says of questions that it forwarded in vain.
type failures struct {
	count int
	names map[string]bool
	probe bool            // CoreDNS's own question failed
	last  map[string]said // by upstream
}

func findUpstreamFailing(s *facts.Snapshot) []checks.Finding {
	var out byOwner
	for _, v := range servers(s) {
		f := v.failures(s)
		if f.count < fewFailures || len(f.names) < fewNames && !f.probe || v.mostlyAnswered(s, f.count) || v.rarely(s, f.count) {
			continue
		}
		to := sorted(f.last)
		var evidence []checks.Evidence
		for _, upstream := range to[:min(len(to), 3)] {
			evidence = append(evidence, v.quote(f.last[upstream]))
		}
		evidence = append(evidence, checks.Quote(v.pod.Ref().String()+", log", fmt.Sprintf("%d such lines, about %d names", f.count, len(f.names))))
		severity := checks.Warning // it may be over
		if a := s.AnswerOf(v.pod, facts.AnswerOutside); a != nil && !a.OK() {
			evidence, severity = append(evidence, v.quoteAnswer(a)), checks.Error
		}
		out.add(v, checks.Finding{
			Severity: severity,
			Message:  "gets no answer to questions that it forwards: names outside the cluster do not resolve, or slowly",
			Evidence: evidence,
			Remedy: fmt.Sprintf("Ask %s from a pod on the same node and from the node itself: if only the node gets an answer, look for a firewall, a NetworkPolicy "+
				"or missing masquerading between; otherwise forward to servers that answer.", strings.Join(to, ", ")),
		})
	}
	return out.findings
}

func (v server) failures(s *facts.Snapshot) failures {
	f := failures{names: map[string]bool{}, last: map[string]said{}}
	for _, w := range v.sinceInForce(s) {
		m := failedLine.FindStringSubmatch(w.text)
		if m == nil {
			continue
		}
		f.count++
		if m[2] == "HINFO" {
			f.probe = true
		} else {
			f.names[m[1]] = true
		}
		upstream := m[3]
		if upstream == "" {
			upstream = "what the Corefile forwards to"
		}
		f.last[upstream] = w
	}
	return f
}

// mostlyAnswered tells whether the metrics say that what failed is a small share. The log
// holds the last lines only, so that the count of SERVFAIL may be more.
func (v server) mostlyAnswered(s *facts.Snapshot, failed int) bool {
	answered, known := v.metric(s, "coredns_proxy_request_duration_seconds_count", `proxy_name="forward"`)
	servfail, _ := v.metric(s, "coredns_dns_responses_total", `rcode="SERVFAIL"`)
	return known && answered > (failedShare-1)*max(float64(failed), servfail)
}

// rarely tells whether there was less than one failure an hour since the server started.
func (v server) rarely(s *facts.Snapshot, failed int) bool {
	return float64(failed) < s.Taken.Sub(v.container.State.Started.Time()).Hours()
}

func sorted(m map[string]said) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// MaxConcurrent finds servers that turn questions away because too many wait already.
var MaxConcurrent = &checks.Check{
	ID:       "coredns-max-concurrent",
	Title:    "CoreDNS turns no question away for want of room",
	Severity: checks.Warning, // the log has no times: it may be over
	URL:      "https://coredns.io/plugins/forward/",
	Needs:    []*facts.Source{facts.SystemPods, facts.PodLogs},
	MayUse:   []*facts.Source{facts.Proxy},
	Parts:    runningLogs,
	Explains: []*checks.Check{symptom.DNSProbeExternal},
	ByHand: []string{"kubectl -n kube-system logs -l k8s-app=kube-dns --tail=500 | grep 'concurrent queries exceeded'",
		`kubectl get --raw "/api/v1/namespaces/kube-system/pods/POD:9153/proxy/metrics" | grep max_concurrent_rejects`},
	Run: findMaxConcurrent,
	Doc: "`forward … { max_concurrent 1000 }`" + ` bounds how many questions may wait for an answer from outside. Above it CoreDNS
answers REFUSED at once, and logs ` + "`concurrent queries exceeded maximum 1000`" + `: names outside the cluster fail now and then, in all
pods alike.

A thousand at a time is a lot. Nearly always the servers outside are slow or silent, so that questions pile up (each waits for
seconds), or CoreDNS forwards to itself, so that one question becomes many. Otherwise the load is real: a program without a cache
of its own, or search lists that make four questions of each.

Cure: find out why answers are slow first. If the load is real, raise ` + "`max_concurrent`" + ` (each waiting question takes some memory), add
replicas, or put NodeLocal DNSCache in front.`,
}

var concurrentLine = regexp.MustCompile(`concurrent queries exceeded maximum (\d+)`)

// fewRejects may be one short burst at the start.
const fewRejects = 3

func findMaxConcurrent(s *facts.Snapshot) []checks.Finding {
	var out byOwner
	for _, v := range servers(s) {
		var last said
		limit, count := "", 0
		for _, w := range v.sinceInForce(s) {
			if m := concurrentLine.FindStringSubmatch(w.text); m != nil {
				last, limit = w, m[1]
				count++
			}
		}
		if count < fewRejects {
			continue
		}
		evidence := []checks.Evidence{v.quote(last)}
		if n, known := v.metric(s, "coredns_forward_max_concurrent_rejects_total"); known {
			evidence = append(evidence, checks.Quote(v.pod.Ref().String()+", GET :9153/metrics", fmt.Sprintf("coredns_forward_max_concurrent_rejects_total %.0f", n)))
		}
		out.add(v, checks.Finding{
			Message:  "refuses questions: more than " + limit + " at a time wait for an answer from outside",
			Evidence: evidence,
			Remedy:   "Find out why the servers that it forwards to are slow; if the load is real, raise max_concurrent in the Corefile or add replicas.",
		})
	}
	return out.findings
}
