package coredns

import (
	"regexp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

var (
	// probeLate matches a probe whose answer came too late, in the words of Go's package
	// net/http.
	probeLate = regexp.MustCompile(`Client\.Timeout|context deadline exceeded`)
	// selfLate matches what CoreDNS logs when it answers its own request for /health too
	// late, or not in three seconds (coredns plugin/health/overloaded.go).
	selfLate = regexp.MustCompile(`Local health request to \S+ (?:took more than 1s|failed: .*(?:Client\.Timeout|context deadline exceeded))`)
)

// findSlow finds servers that were killed because they answered the liveness probe too
// late. That they were late for themselves as well tells that it is not the network.
func findSlow(s *facts.Snapshot) []checks.Finding {
	fleet, events := newFleet(s), probeEvents(s, "Liveness probe failed: ")
	var now, later []checks.Finding
	for _, v := range fleet.servers {
		event := events[v.pod.Ref()]
		if v.pod.Deleting || event == nil || !probeLate.MatchString(event.Message) || !v.stopped() {
			continue
		}
		line, found := v.late(s)
		if !found {
			continue
		}
		f := checks.Finding{
			Subject: owner(v.pod), Message: "is killed by its liveness probe: CoreDNS answers too slowly, its own requests too", Places: []facts.Ref{v.pod.Ref()},
			Evidence: []checks.Evidence{checks.Quote(v.pod.Ref().String()+", event "+event.Reason, event.Message), v.quote(line)},
			Remedy: "Give CoreDNS more CPU (resources.requests.cpu, and no tight limits.cpu), or take load off its node; more replicas and NodeLocal DNSCache spread the questions. " +
				"Until then a longer timeoutSeconds of the liveness probe keeps it alive.",
		}
		if v.pod.Ready {
			f.Message = "was killed by its liveness probe: CoreDNS answered too slowly, its own requests too"
			later = told(later, f)
			continue
		}
		now = told(now, f)
	}
	return fleet.together(now, later)
}

// late returns the last line in which a server says that it was late for itself.
func (v server) late(s *facts.Snapshot) (last said, found bool) {
	for _, w := range v.words(s) {
		if selfLate.MatchString(w.text) {
			last, found = w, true
		}
	}
	return last, found
}
