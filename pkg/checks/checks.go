// Package checks defines what a check is and runs checks over a snapshot.
//
// A check is a value: one question about the cluster, with its documentation, what it
// reads and a pure function over facts in memory. It cannot read a cluster and cannot
// change one. What it must read but could not makes its answer unknown, never ok.
package checks

import (
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Severity says how bad a finding is.
type Severity int

// The severities. The zero value in a Finding means its check's severity.
const (
	Info    Severity = iota + 1 // worth knowing
	Warning                     // degraded, or about to break
	Error                       // someone is cut off now
)

// String returns the name that reports and --fail-on use.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return fmt.Sprintf("severity(%d)", int(s))
}

// Status is the answer to a check's question.
type Status int

// The statuses.
const (
	OK      Status = iota + 1 // looked, and found nothing
	Failed                    // found something
	Unknown                   // could not look, or not at everything
	Skipped                   // the question has no meaning here, or was not asked
)

// String returns the name that reports use.
func (s Status) String() string {
	switch s {
	case OK:
		return "ok"
	case Failed:
		return "failed"
	case Unknown:
		return "unknown"
	case Skipped:
		return "skipped"
	}
	return fmt.Sprintf("status(%d)", int(s))
}

// Check is one question about the cluster.
type Check struct {
	ID       string   // never changes once released: "coredns-loop"
	Title    string   // what is true of a healthy cluster
	Doc      string   // Markdown: what it means, how it comes about, how to cure it
	Severity Severity // of its findings, unless they say otherwise
	URL      string   // the component's own documentation of it

	// Needs names the sources without which the question cannot be answered: where one
	// is missing the result is Unknown and Run is not called. MayUse only sharpens. What
	// IfRead names sharpens too, but is not read for this check: it uses what another one
	// had read.
	Needs, MayUse, IfRead []*facts.Source

	// Parts names objects whose share of a source must be known before "nothing found"
	// may be called ok: the logs of each CoreDNS pod, the configz of each node.
	Parts func(*facts.Snapshot) []Part

	// When says why the question has no meaning in this cluster, or "".
	When func(*facts.Snapshot) string

	Explains []*Check // the symptoms that a finding of this check brings about
	ByHand   []string // the kubectl commands that show the same

	// Run looks for what is wrong. It must not change the snapshot.
	Run func(*facts.Snapshot) []Finding
}

// Part is one object's share of a source, by the key that facts.Snapshot.MissingPart
// takes.
type Part struct {
	Source *facts.Source
	Key    string
	Lacks  string // why what is there of it does not suffice; "" where it does
}

// Finding is one thing that is wrong.
type Finding struct {
	Check    *Check // filled in by Run
	Subject  facts.Ref
	Severity Severity // zero: that of the check

	// Message says what is wrong with the subject, without naming the subject: reports
	// put it in front, and findings with the same words are told as one.
	Message  string
	Evidence []Evidence
	Remedy   string // what to do, in one or two sentences

	// Places are further objects in which the same fault shows: the pods of a broken
	// Deployment. The finding explains the symptoms of these, too.
	Places []facts.Ref

	// Alone says that it explains nothing, whatever other findings of its check explain.
	Alone bool

	// Unexplained says that nothing explains it, whatever explains other findings of its
	// check.
	Unexplained bool
}

// Evidence is a quotation and where it stands.
type Evidence struct {
	From string // "Pod kube-system/coredns-x, previous log"
	Text string // the quoted line or field
}

// Result is the answer to one check's question.
type Result struct {
	Check    *Check
	Status   Status
	Reason   string      // why unknown or skipped; what is missing beside the findings
	Gaps     []string    // what was not seen, each source or part by itself; Reason joins them
	Deeper   facts.Depth // of a question Skipped because nobody looked that deep: the depth that it takes
	Findings []Finding
}

// Quote makes one piece of evidence.
func Quote(from, text string) Evidence { return Evidence{From: from, Text: text} }

// QuoteWaiting quotes what a pod that does not become Ready waits for: its containers, the
// scheduler, and the newest Warning event about it.
func QuoteWaiting(s *facts.Snapshot, p *facts.Pod) []Evidence {
	var out []Evidence
	for i := range p.Containers {
		if c := &p.Containers[i]; c.State.Phase == facts.Waiting && c.State.Message != "" {
			out = append(out, Quote(fmt.Sprintf("%s, container %s", p.Ref(), c.Name), c.State.Reason+": "+c.State.Message))
		}
	}
	if p.Unschedulable() != "" {
		out = append(out, Quote(p.Ref().String()+", condition PodScheduled", p.Unschedulable()))
	}
	if e := s.LastWarning(p.Ref()); e != nil {
		out = append(out, Quote(p.Ref().String()+", event "+e.Reason, e.Message))
	}
	return out
}

// QuoteLog quotes a line from the log of a pod; which is "log" or "previous log".
func QuoteLog(p *facts.Pod, which, line string) Evidence {
	return Evidence{From: p.Ref().String() + ", " + which, Text: line}
}
