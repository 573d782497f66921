package kubeproxy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// failing are the lines of a kube-proxy that runs and learns nothing from the API server.
// One of them alone is nothing: an API server restarts.
var failing = []words{
	forbidden,
	unreached,
}

// forbidden is the API server's refusal.
var forbidden = words{regexp.MustCompile(`(?i)failed to (?:watch|list).*is forbidden: User \\?"([^"\\]+)`),
	"runs, but the API server forbids $1 to list what it needs",
	"Bind the ServiceAccount to the ClusterRole system:node-proxier again: kubeadm init phase addon kube-proxy."}

// unreached is a way to the API server that ends before it, or at another one.
var unreached = words{regexp.MustCompile(`(?i)failed to (?:watch|list).*(?:dial tcp \S+: (?:connect: )?(?:connection refused|no route to host|network is unreachable|i/o timeout)|dial tcp: lookup \S+(?: on \S+)?: no such host|x509: |Unauthorized)`),
	"runs, but does not get through to the API server",
	"Compare the server in its kubeconfig (key kubeconfig.conf of ConfigMap kube-proxy) with the API server's address and certificate."}

// lostNode is how kube-proxy says that it found no Node of the name it goes by. It says
// so once, and works on without the node's addresses (older versions: with 127.0.0.1).
var lostNode = words{regexp.MustCompile(`Failed to retrieve node info: nodes \\?"([^"\\]+)\\?" not found|Timed out waiting for node to exist" node="([^"]+)"`),
	"runs, but takes itself for the Node $1$2, which does not exist",
	"Start it with --hostname-override=$$(NODE_NAME), NODE_NAME being spec.nodeName; the flag wins over hostnameOverride in the file."}

// unanswered is the last that a kube-proxy says which does not get through to its API
// server: client-go asks again without a word where the connection is refused or hangs
// (client-go tools/cache/reflector.go, isWatchErrorRetriable).
var unanswered = words{regexp.MustCompile(`Waiting for caches to sync`),
	"runs, but waits for the API server's first answer since it started",
	"Compare the server in its kubeconfig (key kubeconfig.conf of ConfigMap kube-proxy) with the API server's address, and whether the node reaches it."}

// stuck looks whether the log of a running pod shows that it cannot do its work.
func stuck(s *facts.Snapshot, p *facts.Pod) checks.Finding {
	for i := range p.Containers {
		said := s.Logs[p.Namespace+"/"+p.Name+"/"+p.Containers[i].Name].Current
		if said == "" {
			continue
		}
		lines := strings.Split(said, "\n")
		for _, line := range slices.Backward(lines) {
			if m := lostNode.re.FindStringSubmatchIndex(line); m != nil && s.Node(named(line)) == nil && named(line) != p.Node {
				return lostNode.finding(p, "log", line, line, m)
			}
		}
		if f, found := unanswered.last(s, p, lines); found {
			return f
		}
		for _, w := range failing {
			if f, found := w.persist(s, p, lines); found {
				return f
			}
		}
	}
	return checks.Finding{}
}

func named(line string) string {
	m := lostNode.re.FindStringSubmatch(line)
	return m[1] + m[2]
}

// lately is how long after it was last said a trouble may still last.
const lately = 10 * time.Minute

// persist tells whether a line came again after more than a minute, so that a retry
// failed, too, and came within the last ten minutes. Where it stayed away for longer than
// that, it is another trouble.
func (w words) persist(s *facts.Snapshot, p *facts.Pod, lines []string) (checks.Finding, bool) {
	var first, last time.Time
	at := -1
	for i, line := range lines {
		if t, ok := written(line, s.Taken); ok && w.re.MatchString(line) {
			if at < 0 || t.Sub(last) > lately {
				first = t
			}
			last, at = t, i
		}
	}
	if at < 0 || last.Sub(first) < time.Minute || s.Taken.Sub(last) > lately {
		return checks.Finding{}, false
	}
	line, quote := lines[at], lines[at]
	if strings.HasSuffix(line, "err=<") && at+1 < len(lines) { // klog's form of errors of several lines
		quote = line + " " + strings.TrimSpace(lines[at+1])
	}
	return w.finding(p, "log", quote, line, w.re.FindStringSubmatchIndex(line)), true
}

// last tells whether a line is the last of a log and older than a minute.
func (w words) last(s *facts.Snapshot, p *facts.Pod, lines []string) (checks.Finding, bool) {
	for _, line := range slices.Backward(lines) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		t, ok := written(line, s.Taken)
		m := w.re.FindStringSubmatchIndex(line)
		if !ok || m == nil || s.Taken.Sub(t) < time.Minute {
			return checks.Finding{}, false
		}
		return w.finding(p, "log", line, line, m), true
	}
	return checks.Finding{}, false
}

var klogHeader = regexp.MustCompile(`^[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.`)

// written reads the time in front of a klog line, which has no year and is in UTC as
// the images of kube-proxy are.
func written(line string, taken time.Time) (time.Time, bool) {
	m := klogHeader.FindStringSubmatch(line)
	if m == nil {
		return time.Time{}, false
	}
	var n [5]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // two digits
	}
	t := time.Date(taken.UTC().Year(), time.Month(n[0]), n[1], n[2], n[3], n[4], 0, time.UTC)
	if t.After(taken.Add(24 * time.Hour)) {
		t = t.AddDate(-1, 0, 0)
	}
	return t, true
}
