package coredns

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// LogEnabled finds servers that log every question.
var LogEnabled = &checks.Check{
	ID:       "coredns-log-enabled",
	Title:    "CoreDNS does not log every question",
	Severity: checks.Info,
	URL:      "https://coredns.io/plugins/log/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	ByHand:   []string{"kubectl -n kube-system get configmap coredns -o yaml"},
	Run:      findLogEnabled,
	Doc: `The plugin **log** writes a line for every question, **debug** more than that, and keeps panics from being caught. Both are what
one turns on to find a fault, and forgets. On a busy server that costs a good part of its capacity and fills the node's disk and
whatever collects logs; the lines also say which program asks for which name. And it pushes the errors out of the last lines of the
log, so that neither a person nor this doctor sees them.

` + "`log { class error }`" + ` writes only what went wrong, and is left out here.

Cure: take ` + "`log`" + ` and ` + "`debug`" + ` out of the Corefile again, or bound ` + "`log`" + ` to class error or denial.`,
}

func findLogEnabled(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		var words []string
		var evidence []checks.Evidence
		for _, b := range c.file.Blocks {
			for _, d := range b.Directives {
				if d.Name == "debug" || d.Name == "log" && logsAll(d) {
					evidence = append(evidence, c.quoteDirective(d))
					if !slices.Contains(words, d.Name) {
						words = append(words, d.Name)
					}
				}
			}
		}
		if len(words) > 0 {
			what := strings.Join(words, " and ")
			out = append(out, c.finding("has "+what+" turned on: it costs speed and room, and hides errors among the questions",
				"Once it is not needed any more, take "+what+" out of the Corefile: "+c.edit()+".", evidence...))
		}
	}
	return out
}

// logsAll tells whether a log directive writes the answered questions too, of all names.
func logsAll(d *corefile.Directive) bool {
	if len(d.Args) > 0 && d.Args[0] != "." && !strings.Contains(d.Args[0], "{") {
		return false // of some zones only
	}
	classes := d.Find("class")
	return len(classes) == 0 || slices.ContainsFunc(classes, func(o *corefile.Directive) bool {
		return slices.Contains(o.Args, "all") || slices.Contains(o.Args, "success")
	})
}

// MetricsBind finds servers whose metrics nobody can read.
var MetricsBind = &checks.Check{
	ID:       "coredns-metrics-bind",
	Title:    "CoreDNS publishes its metrics",
	Severity: checks.Info,
	URL:      "https://coredns.io/plugins/metrics/",
	Needs:    []*facts.Source{facts.SystemPods, facts.ConfigMaps},
	ByHand:   []string{"kubectl -n kube-system get configmap coredns -o yaml"},
	Run:      findMetricsBind,
	Doc: `The plugin **prometheus** publishes how many questions are asked, answered, and with what error. Without it, or where it listens
on a loopback address (` + "`localhost:9153`" + ` is its default, ` + "`:9153`" + ` what installers write), nothing can collect that: dashboards stay
empty, alerts silent, and the checks here that go by metrics are unknown. A pod with a sidecar that passes them on, as OpenShift's
kube-rbac-proxy does, is left out.

Cure: write ` + "`prometheus :9153`" + ` into the Corefile.`,
}

func findMetricsBind(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, c := range configs(s) {
		if len(c.file.Blocks) == 0 || slices.ContainsFunc(c.servers, withSidecar) {
			continue
		}
		const remedy = "Write prometheus :9153 into the block for \".\": "
		if c.lacks("prometheus") {
			out = append(out, c.finding("has no prometheus: nobody can read the metrics of CoreDNS", remedy+c.edit()+".", c.quoteBlock(c.file.Blocks[0])))
		} else if d := loopbackMetrics(c.file); d != nil {
			out = append(out, c.finding("publishes metrics on a loopback address, where nobody can read them", remedy+c.edit()+".", c.quoteDirective(d)))
		}
	}
	return out
}

func withSidecar(v server) bool {
	return slices.ContainsFunc(v.pod.Containers, func(c facts.Container) bool { return c.Name != v.container.Name && (!c.Init || c.Restartable) })
}

// loopbackMetrics returns a prometheus directive that listens on loopback, or nil where
// one listens elsewhere or where that is not certain.
func loopbackMetrics(file *corefile.File) *corefile.Directive {
	var found *corefile.Directive
	for _, b := range file.Blocks {
		for _, d := range b.Find("prometheus") {
			host := "localhost"
			if len(d.Args) > 0 {
				host = strings.Trim(d.Args[0][:max(strings.LastIndexByte(d.Args[0], ':'), 0)], "[]")
			}
			if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.IsLoopback()) {
				return nil
			}
			found = d
		}
	}
	return found
}
