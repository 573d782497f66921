package served

import (
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Elsewhere says why a pod that does not answer us may do so on a port that we did not ask on,
// or "": questions go to the one that it declares for DNS over TCP, 53 where it declares none
// (facts.Pod.DNSPort). It reads ConfigMaps.
func Elsewhere(s *facts.Snapshot, p *facts.Pod) string {
	if slices.Contains(Ports(s, p, corev1.ProtocolTCP), int32(p.DNSPort())) {
		return ""
	}
	return fmt.Sprintf("it may listen elsewhere than on port %d", p.DNSPort())
}

// Others says why a pod that does not answer us is not silent, or "": between two reads of its
// metrics it answered others. It reads Metrics.
func Others(s *facts.Snapshot, p *facts.Pod) string {
	const answers, started = "coredns_dns_responses_total", "process_start_time_seconds"
	scrapes := s.Metrics[p.Ref().Key()]
	if len(scrapes) < 2 {
		return ""
	}
	first, last := scrapes[0], scrapes[len(scrapes)-1]
	before, err := Families(first.Text, []string{answers, started})
	if err != nil {
		return ""
	}
	after, err := Families(last.Text, []string{answers, started})
	if err != nil || !last.At.After(first.At) || total(before[started], "") != total(after[started], "") {
		return "" // it was started anew, and counts from nothing
	}
	if total(after[answers], "NOERROR") <= total(before[answers], "NOERROR") {
		return ""
	}
	return "it answers nothing, and its metrics say that it answers others meanwhile"
}

// total sums the series of a metric, those of one rcode where it is not "".
func total(family *dto.MetricFamily, rcode string) float64 {
	sum := 0.0
	for _, m := range family.GetMetric() {
		mine := func(l *dto.LabelPair) bool { return l.GetName() == "rcode" && l.GetValue() == rcode }
		if rcode == "" || slices.ContainsFunc(m.GetLabel(), mine) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return sum
}

// Families reads the metrics of these names from the text format of Prometheus; what else
// stands in the text is not even parsed.
func Families(text string, names []string) (map[string]*dto.MetricFamily, error) {
	var wanted strings.Builder
	for line := range strings.Lines(text) {
		if slices.ContainsFunc(names, func(n string) bool { return of(line, n) }) {
			wanted.WriteString(line)
		}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(strings.NewReader(wanted.String()))
}

// of tells whether a line belongs to a metric, its type or its buckets.
func of(line, name string) bool {
	line = strings.TrimPrefix(strings.TrimPrefix(line, "# TYPE "), "# HELP ")
	rest, found := strings.CutPrefix(line, name)
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		rest = strings.TrimPrefix(rest, suffix)
	}
	return found && (strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, " "))
}
