package coredns

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/served"
)

const (
	// grace is how long something may be missing before that is a finding.
	grace = time.Minute
	// settle is how long a restarted server must run before what the one before it
	// wrote is history. The loop plugin, the slowest to give up, tests for 30 seconds.
	settle = time.Minute
)

// server is one DNS server process: a container of a pod of cluster DNS.
type server struct {
	pod       *facts.Pod
	container *facts.Container
}

// servers returns the DNS servers of the cluster.
func servers(s *facts.Snapshot) []server {
	var out []server
	for _, p := range s.DNSPods() {
		for i := range p.Containers {
			if p.RunsDNS(p.Containers[i]) {
				out = append(out, server{p, &p.Containers[i]})
			}
		}
	}
	return out
}

// failing returns the servers that do not stay up.
func failing(s *facts.Snapshot) []server {
	return slices.DeleteFunc(servers(s), func(v server) bool { return !v.failing(s) })
}

func (v server) failing(s *facts.Snapshot) bool {
	c := v.container
	switch c.State.Phase {
	case facts.Running:
		return c.Last().Phase == facts.Terminated && c.Last().ExitCode != 0 && s.Taken.Sub(c.State.Started.Time()) < settle
	case facts.Terminated:
		return c.State.ExitCode != 0
	}
	return c.Last().Phase == facts.Terminated || c.Restarts > 0
}

// failingLogs names the logs without which nobody knows why a server does not stay up.
func failingLogs(s *facts.Snapshot) []checks.Part {
	var pods []*facts.Pod
	for _, v := range failing(s) {
		pods = append(pods, v.pod)
	}
	return checks.PodLogs(slices.Compact(pods))
}

// said is one line of a log.
type said struct {
	which string // "log" or "previous log"
	line  string
	text  string // the message in it, without the wrapping of a structured log
}

// words returns what the server wrote, the newest run first. Around a crash the two
// logs are often the same, and sometimes the current one is still without the end.
func (v server) words(s *facts.Snapshot) []said {
	log := s.Logs[v.pod.Namespace+"/"+v.pod.Name+"/"+v.container.Name]
	var out []said
	for line := range strings.Lines(log.Current) {
		out = append(out, newSaid("log", line))
	}
	for line := range strings.Lines(log.Previous) {
		out = append(out, newSaid("previous log", line))
	}
	return out
}

// newSaid unwraps what CoreDNS 1.15 writes with -log-format json
// (coredns plugin/pkg/log/json.go).
func newSaid(which, line string) said {
	line = strings.TrimSpace(line)
	out := said{which, line, line}
	var structured struct{ Msg string }
	if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &structured) == nil && structured.Msg != "" {
		out.text = structured.Msg
	}
	return out
}

func (v server) quote(w said) checks.Evidence { return checks.QuoteLog(v.pod, w.which, w.line) }

// owner returns what a pod belongs to: its Deployment or DaemonSet, or itself.
func owner(p *facts.Pod) facts.Ref {
	if p.Owner.Kind == "" {
		return p.Ref()
	}
	return p.Owner
}

// configOf returns the ConfigMap that a pod's Corefile comes from and the text; nil
// where it is not known.
func configOf(s *facts.Snapshot, p *facts.Pod) (*corev1.ConfigMap, string) {
	return served.Config(s, p)
}

var tagForm = regexp.MustCompile(`:v?(\d+)\.(\d+)(?:\.(\d+))?[^/]*$`)

// version reads the version off an image's tag; nil where there is none in it.
func version(image string) []int {
	m := tagForm.FindStringSubmatch(strings.SplitN(image, "@", 2)[0])
	if m == nil {
		return nil
	}
	return numbers(m[1:])
}

func numbers(words []string) []int {
	var out []int
	for _, w := range words {
		n, _ := strconv.Atoi(w) // "" is the patch level that was left out: 0
		out = append(out, n)
	}
	return out
}

// reached tells whether a version is known and at or above a release such as "1.5.0".
func reached(version []int, release string) bool {
	return version != nil && slices.Compare(version, numbers(strings.Split(release, "."))) >= 0
}

// anyReady tells whether another pod of the same owner serves, so that names resolve.
func anyReady(s *facts.Snapshot, of facts.Ref) bool {
	return slices.ContainsFunc(s.DNSPods(), func(p *facts.Pod) bool { return p.Ready && !p.Deleting && owner(p) == of })
}
