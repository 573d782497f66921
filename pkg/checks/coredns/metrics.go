package coredns

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/served"
)

// telling is how many questions must lie between two reads of the metrics before shares of
// them tell anything: at 100 one more or less is a percent.
const telling = 100

// window is what a server did between two reads of its metrics.
type window struct {
	v             server
	seconds       float64
	before, after map[string]*dto.MetricFamily
}

// windows returns those of the servers that answer, with these metrics alone. A server that
// was started anew in between, or whose answers cannot be read, has none.
func windows(s *facts.Snapshot, names ...string) []window {
	var out []window
	for _, v := range newFleet(s).servers {
		if w, err := newWindow(s, v, names); err == nil && v.pod.Ready {
			out = append(out, w)
		}
	}
	return out
}

func newWindow(s *facts.Snapshot, v server, names []string) (window, error) {
	scrapes := s.Metrics[v.pod.Ref().Key()]
	if len(scrapes) < 2 {
		return window{}, fmt.Errorf("read %d times, which takes 2", len(scrapes))
	}
	first, last := scrapes[0], scrapes[len(scrapes)-1]
	w := window{v: v, seconds: last.At.Sub(first.At).Seconds()}
	const started = "process_start_time_seconds"
	var err error
	if w.before, err = served.Families(first.Text, append(names, started)); err != nil {
		return w, err
	}
	if w.after, err = served.Families(last.Text, append(names, started)); err != nil {
		return w, err
	}
	if w.seconds <= 0 || w.total(w.before, started) != w.total(w.after, started) {
		return w, fmt.Errorf("started anew between the two reads")
	}
	return w, nil
}

// total sums a counter or gauge over all series whose labels hold these pairs of name and
// value.
func (w window) total(in map[string]*dto.MetricFamily, name string, pairs ...string) float64 {
	sum := 0.0
	for _, m := range in[name].GetMetric() {
		if !labelled(m, pairs) {
			continue
		}
		sum += cmp.Or(m.GetCounter().GetValue(), m.GetGauge().GetValue(), m.GetUntyped().GetValue())
	}
	return sum
}

// delta is by how much a counter grew.
func (w window) delta(name string, pairs ...string) float64 {
	return max(0, w.total(w.after, name, pairs...)-w.total(w.before, name, pairs...))
}

// values lists the values of a label.
func (w window) values(name, label string) []string {
	var out []string
	for _, m := range w.after[name].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label && !slices.Contains(out, l.GetValue()) {
				out = append(out, l.GetValue())
			}
		}
	}
	slices.Sort(out)
	return out
}

// quantile returns the upper bound of the bucket in which a share of what a histogram
// counted lies, and how much it counted. Above the last bucket it is infinite.
func (w window) quantile(share float64, name string, pairs ...string) (bound, count float64) {
	before, after := buckets(w.before[name], pairs), buckets(w.after[name], pairs)
	for bound, n := range after {
		after[bound] = n - before[bound]
	}
	count = after[math.Inf(1)]
	bounds := make([]float64, 0, len(after))
	for b := range after {
		bounds = append(bounds, b)
	}
	slices.Sort(bounds)
	for _, b := range bounds {
		if after[b] >= share*count {
			return b, count
		}
	}
	return math.Inf(1), count
}

// buckets sums the cumulative buckets of a histogram.
func buckets(f *dto.MetricFamily, pairs []string) map[float64]float64 {
	out := map[float64]float64{}
	for _, m := range f.GetMetric() {
		if !labelled(m, pairs) {
			continue
		}
		h := m.GetHistogram()
		infinite := false
		for _, b := range h.GetBucket() {
			out[b.GetUpperBound()] += float64(b.GetCumulativeCount())
			infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
		}
		if !infinite {
			out[math.Inf(1)] += float64(h.GetSampleCount())
		}
	}
	return out
}

func labelled(m *dto.Metric, pairs []string) bool {
	for i := 0; i+1 < len(pairs); i += 2 {
		if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == pairs[i] && l.GetValue() == pairs[i+1] }) {
			return false
		}
	}
	return true
}

// quote says where counts come from.
func (w window) quote(format string, args ...any) checks.Evidence {
	return checks.Quote(w.v.pod.Ref().String()+", metrics", fmt.Sprintf(format, args...)+fmt.Sprintf(" in %.1f s", w.seconds))
}

// unmeasured says why nobody can read the servers' metrics, or "".
func unmeasured(s *facts.Snapshot) string {
	if why := noServers(s); why != "" {
		return why
	}
	for _, c := range configs(s) {
		if c.lacks("prometheus") || loopbackMetrics(c.file) != nil {
			return "CoreDNS does not publish its metrics, see coredns-metrics-bind"
		}
	}
	return ""
}

func noServers(s *facts.Snapshot) string {
	if len(newFleet(s).servers) == 0 {
		return "no CoreDNS runs here"
	}
	return ""
}

// measured names the metrics of the servers that answer, without which nobody knows.
func measured(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, v := range newFleet(s).servers {
		if !v.pod.Ready {
			continue
		}
		p := checks.Part{Source: facts.Metrics, Key: v.pod.Ref().Key()}
		if _, err := newWindow(s, v, nil); err != nil && len(s.Metrics[p.Key]) > 0 {
			p.Lacks = err.Error()
		}
		out = append(out, p)
	}
	return out
}

// perOwner tells of servers what some have in common, once for each Deployment.
func perOwner(list []window, judge func(window) *checks.Finding) []checks.Finding {
	var out []checks.Finding
	for _, w := range list {
		if f := judge(w); f != nil {
			f.Subject, f.Places = owner(w.v.pod), []facts.Ref{w.v.pod.Ref()}
			out = told(out, *f)
		}
	}
	return out
}
