package coredns_test

import (
	"slices"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

// Questions that go round explain a cache that holds none of them, and no Corefile without one.
func TestUpstreamSelfExplainsCache(t *testing.T) {
	for _, test := range []struct {
		fixture              string
		itself, below, roots int // findings of coredns-cache
	}{
		{"testdata/metrics-self.txtar", 1, 1, 0},
		{"testdata/upstream-self.txtar", 2, 0, 3},
		{"testdata/metrics-load.txtar", 0, 0, 1},
	} {
		s := checktest.Load(t, test.fixture)
		itself, below, roots := 0, 0, 0
		for _, n := range cause.Roots(s, checks.Run(s, []*checks.Check{coredns.UpstreamSelf, coredns.Cache})) {
			told := 1 + len(n.More)
			if n.Check == coredns.Cache {
				roots += told
			} else {
				itself += told
			}
			for _, symptom := range n.Symptoms {
				below += 1 + len(symptom.More)
			}
		}
		if itself != test.itself || below != test.below || roots != test.roots {
			t.Errorf("%s: %d of coredns-upstream-self, %d of coredns-cache below it, %d beside it; want %d, %d, %d", test.fixture, itself, below, roots, test.itself, test.below, test.roots)
		}
	}
}

// A server that stands still for want of memory answers nobody, and no pod made anew would help. One that
// has little memory and runs is told beside whatever else is wrong.
func TestMemoryExplainsSilence(t *testing.T) {
	for fixture, want := range map[string][]*checks.Check{
		"testdata/coredns-memory-size-still-lab.txtar": {coredns.MemorySize},
		"testdata/coredns-memory-size-starting.txtar":  {symptom.PodNotReady, coredns.MemorySize},
	} {
		s := checktest.Load(t, fixture)
		var got []*checks.Check
		for _, n := range cause.Roots(s, checks.Run(s, []*checks.Check{coredns.MemorySize, coredns.PodAnswers, symptom.PodNotReady, symptom.DNSDown})) {
			got = append(got, n.Check)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d roots, %v", fixture, len(got), got)
		}
	}
}
