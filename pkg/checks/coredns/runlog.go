package coredns

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// inForceLine matches what the servers say when a configuration comes into force: the plugin
// reload (plugin/reload/reload.go, MD5 in older releases) or, where the new one is
// without it, the process itself (coredns/caddy caddy.go).
var inForceLine = regexp.MustCompile(`Running configuration (?:SHA512|MD5) = |\[INFO\] Reloading complete`)

// runningLogs names the logs of the servers that run.
func runningLogs(s *facts.Snapshot) []checks.Part {
	var pods []*facts.Pod
	for _, v := range servers(s) {
		if v.container.State.Phase == facts.Running {
			pods = append(pods, v.pod)
		}
	}
	return checks.PodLogs(slices.Compact(pods))
}

// sinceInForce returns what a running server wrote since its present configuration came
// into force, and nothing of one that does not run.
func (v server) sinceInForce(s *facts.Snapshot) []said {
	if v.container.State.Phase != facts.Running {
		return nil
	}
	var out []said
	for _, w := range v.words(s) {
		switch {
		case w.which != "log":
		case inForceLine.MatchString(w.text):
			out = nil
		default:
			out = append(out, w)
		}
	}
	return out
}

// metric sums the samples of one metric in a server's answer, those whose labels hold all
// the given texts; known is false where there is none, or no answer was read.
func (v server) metric(s *facts.Snapshot, name string, labels ...string) (sum float64, known bool) {
	for line := range strings.Lines(s.Proxy[v.pod.Namespace+"/"+v.pod.Name+"/9153/metrics"]) {
		rest, found := strings.CutPrefix(line, name)
		if !found || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		if slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			continue
		}
		rest = strings.TrimSpace(rest)
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err == nil {
			sum, known = sum+value, true
		}
	}
	return sum, known
}

// byOwner collects findings about what pods belong to: the pods of one Deployment that
// say the same are one finding.
type byOwner struct{ findings []checks.Finding }

func (o *byOwner) add(v server, f checks.Finding) {
	f.Subject, f.Places = owner(v.pod), []facts.Ref{v.pod.Ref()}
	i := slices.IndexFunc(o.findings, func(have checks.Finding) bool { return have.Subject == f.Subject && have.Message == f.Message })
	if i < 0 {
		o.findings = append(o.findings, f)
		return
	}
	o.findings[i].Severity = max(o.findings[i].Severity, f.Severity)
	o.findings[i].Evidence = append(o.findings[i].Evidence, f.Evidence...)
	o.findings[i].Places = append(o.findings[i].Places, f.Places...)
}
