package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/scale"
)

// slowest is how many checks the page lists by themselves.
const slowest = 15

// expense is what something takes.
type expense struct {
	id        string
	took      time.Duration
	allocated uint64 // bytes, given back or not
}

// eachCheck measures every check by itself on one core, over a large cluster in memory.
func eachCheck(pods, runs int) (string, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	size := scale.For(pods)
	s, held, err := generated(size)
	if err != nil {
		return "", err
	}
	walk := measured("", runs, func() { walkPods(s) })
	var costs []expense
	var total expense
	for _, c := range all.Checks() {
		one := measured(c.ID, runs, func() { checks.Run(s, []*checks.Check{c}) })
		total.took, total.allocated = total.took+one.took, total.allocated+one.allocated
		costs = append(costs, one)
	}
	results := checks.Run(s, all.Checks())
	roots := measured("", runs, func() { cause.Roots(s, results) })
	slices.SortFunc(costs, func(a, b expense) int { return cmp.Or(cmp.Compare(b.took, a.took), cmp.Compare(a.id, b.id)) })
	return checksSection(size, runs, held, walk, total, roots, costs), nil
}

// generated builds the snapshot of a large cluster, and tells what it holds on to.
func generated(size scale.Size) (s *facts.Snapshot, held uint64, err error) {
	now := time.Now()
	c, err := scale.New(os.DirFS("test/clusters/healthy"), size, now)
	if err != nil {
		return nil, 0, err
	}
	before := heap()
	b := facts.NewBuilder(now.Add(time.Hour), "v1.37.2", facts.API)
	for i := range c.Len() {
		obj := c.Object(i)
		if !slices.ContainsFunc(facts.Sources(), func(src *facts.Source) bool {
			return src.Object() && src.Kind == obj.GetObjectKind().GroupVersionKind().Kind
		}) {
			continue
		}
		if err := b.Add(obj); err != nil {
			return nil, 0, err
		}
	}
	for _, src := range facts.Sources() {
		if !src.Object() {
			b.Gap(src, "", "read only at --depth "+src.Depth.String())
		}
	}
	s = b.Build()
	return s, heap() - before, nil
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// measured returns the median time of some runs, and what one of them allocates.
func measured(id string, runs int, do func()) expense {
	var times []time.Duration
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		begin := time.Now()
		do()
		times = append(times, time.Since(begin))
	}
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	return expense{id, times[len(times)/2], (after.TotalAlloc - before.TotalAlloc) / uint64(runs)}
}

// walkPods looks at each pod once: the least that a check of pods can do.
func walkPods(s *facts.Snapshot) (ready int) {
	for _, p := range s.Pods {
		if p.Ready && p.Labels["app"] != "" {
			ready++
		}
	}
	return ready
}

func checksSection(size scale.Size, runs int, held uint64, walk, total, roots expense, costs []expense) string {
	var b strings.Builder
	fmt.Fprintf(&b, `## Each check

Made by `+"`make bench-checks`"+` (hack/bench): the snapshot of %d nodes, %d pods and %d Services (test/scale), in memory, at --depth api; every check by itself
on one core, medians of %d runs. "Walks" says how many times as long as looking at the labels of each pod once (%.1f ms).

- The snapshot with its indexes holds %.0f bytes a pod.
- All %d checks: %.2f s, %.0f walks, %.0f MiB allocated. Finding the roots: %.0f ms.

The slowest:

| check | ms | walks | MiB allocated |
|---|---|---|---|
`, size.Nodes, size.Pods, size.Services, runs, walk.took.Seconds()*1000, float64(held)/float64(size.Pods),
		len(costs), total.took.Seconds(), ratio(total, walk), mib(total), roots.took.Seconds()*1000)
	for _, c := range costs[:min(slowest, len(costs))] {
		fmt.Fprintf(&b, "| `%s` | %.1f | %.1f | %.1f |\n", c.id, c.took.Seconds()*1000, ratio(c, walk), mib(c))
	}
	var rest expense
	for _, c := range costs[min(slowest, len(costs)):] {
		rest.took, rest.allocated = rest.took+c.took, rest.allocated+c.allocated
	}
	fmt.Fprintf(&b, "| the other %d together | %.1f | %.1f | %.1f |\n", max(0, len(costs)-slowest), rest.took.Seconds()*1000, ratio(rest, walk), mib(rest))
	return b.String()
}

func ratio(c, to expense) float64 { return float64(c.took) / float64(max(to.took, 1)) }

func mib(c expense) float64 { return float64(c.allocated) / (1 << 20) }
