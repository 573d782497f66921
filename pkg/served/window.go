package served

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Window is what a pod did between two reads of its metrics.
type Window struct {
	Seconds       float64 // above 0
	before, after map[string]*dto.MetricFamily
}

// WindowOf returns what a pod did between the first and the last read of its metrics, of the
// metrics of these names. The error says why that is not known: it was not read twice, its
// answers are no metrics, or it was started anew in between and counts from nothing. It reads
// Metrics.
func WindowOf(s *facts.Snapshot, p *facts.Pod, names ...string) (Window, error) {
	scrapes := s.Metrics[p.Ref().Key()]
	if len(scrapes) < 2 {
		return Window{}, fmt.Errorf("read %d times, which takes 2", len(scrapes))
	}
	first, last := scrapes[0], scrapes[len(scrapes)-1]
	const started = "process_start_time_seconds"
	names = append(slices.Clip(names), started)
	w := Window{Seconds: last.At.Sub(first.At).Seconds()}
	var err error
	if w.before, err = Families(first.Text, names); err != nil {
		return w, err
	}
	if w.after, err = Families(last.Text, names); err != nil {
		return w, err
	}
	if w.Seconds <= 0 || total(w.before[started]) != total(w.after[started]) {
		return w, errors.New("started anew between the two reads")
	}
	return w, nil
}

// Total is what a counter or gauge was at the end, summed over all series whose labels hold
// these pairs of name and value.
func (w Window) Total(name string, pairs ...string) float64 { return total(w.after[name], pairs...) }

// Delta is by how much a counter grew.
func (w Window) Delta(name string, pairs ...string) float64 {
	return max(0, w.Total(name, pairs...)-total(w.before[name], pairs...))
}

func total(family *dto.MetricFamily, pairs ...string) float64 {
	sum := 0.0
	for _, m := range family.GetMetric() {
		if labelled(m, pairs) {
			sum += cmp.Or(m.GetCounter().GetValue(), m.GetGauge().GetValue(), m.GetUntyped().GetValue())
		}
	}
	return sum
}

// Values lists the values of a label, sorted.
func (w Window) Values(name, label string) []string {
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

// Quantile returns the upper bound of the bucket in which a share of what a histogram
// counted lies, and how much it counted. Above the last bucket it is infinite.
func (w Window) Quantile(share float64, name string, pairs ...string) (bound, count float64) {
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
