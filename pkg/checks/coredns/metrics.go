package coredns

import (
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/served"
)

// telling is how many questions must lie between two reads of the metrics before shares of
// them tell anything: at 100 one more or less is a percent.
const telling = 100

// window is what a server did between two reads of its metrics.
type window struct {
	served.Window
	v server
}

// windows returns those of the servers that answer, with these metrics alone. A server that
// was started anew in between, or whose answers cannot be read, has none.
func windows(s *facts.Snapshot, names ...string) []window {
	var out []window
	for _, v := range newFleet(s).servers {
		if w, err := served.WindowOf(s, v.pod, names...); err == nil && v.pod.Ready {
			out = append(out, window{w, v})
		}
	}
	return out
}

// quote says where counts come from.
func (w window) quote(format string, args ...any) checks.Evidence {
	return checks.Quote(w.v.pod.Ref().String()+", metrics", fmt.Sprintf(format, args...)+fmt.Sprintf(" in %.1f s", w.Seconds))
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
		if _, err := served.WindowOf(s, v.pod); err != nil && len(s.Metrics[p.Key]) > 0 {
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
