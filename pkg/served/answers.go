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
	const answers = "coredns_dns_responses_total"
	w, err := WindowOf(s, p, answers)
	if err != nil || !(w.Delta(answers, "rcode", "NOERROR") > 0) {
		return ""
	}
	return "it answers nothing, and its metrics say that it answers others meanwhile"
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
