package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// SchemaVersion is the version of the JSON report. Fields are added to a version, never
// renamed or removed.
const SchemaVersion = 1

type document struct {
	SchemaVersion int                     `json:"schemaVersion"`
	Taken         time.Time               `json:"taken"`
	Server        string                  `json:"server"`
	Depth         string                  `json:"depth"`
	Namespace     string                  `json:"namespace,omitempty"`
	Sampled       map[string]facts.Sample `json:"sampled,omitempty"`
	Summary       map[string]int          `json:"summary"`
	Roots         []node                  `json:"roots"`
	Results       []result                `json:"results"`
}

type node struct {
	Check    string      `json:"check"`
	Severity string      `json:"severity"`
	Title    string      `json:"title"`
	Subject  facts.Ref   `json:"subject"`
	Places   []facts.Ref `json:"places"`
	Message  string      `json:"message"`
	Evidence []evidence  `json:"evidence"`
	Remedy   string      `json:"remedy"`
	ByHand   []string    `json:"byHand"`
	Docs     string      `json:"docs"`
	Fixes    []string    `json:"fixes"`
	Symptoms []node      `json:"symptoms"`
	Deeper   []deeper    `json:"deeper,omitempty"` // of roots
}

// deeper says at which depth checks that were not asked look for a root's cause.
type deeper struct {
	Depth  string   `json:"depth"`
	Checks []string `json:"checks"`
}

type evidence struct {
	From string `json:"from"`
	Text string `json:"text"`
}

type result struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Reason string `json:"reason"`
}

func newDocument(r Report) document {
	doc := document{
		SchemaVersion: SchemaVersion, Taken: r.Snapshot.Taken.UTC(), Server: quote(r.Snapshot.Server),
		Depth: r.Snapshot.Depth.String(), Namespace: quote(r.Snapshot.Scope),
		Sampled: r.Snapshot.Sampled,
		Summary: map[string]int{
			"error": 0, "warning": 0, "info": 0, "ok": Count(r.Results, checks.OK),
			"unknown": Count(r.Results, checks.Unknown), "skipped": Count(r.Results, checks.Skipped),
		},
		Roots: newNodes(r, r.Roots), Results: []result{},
	}
	for _, root := range r.Roots {
		doc.Summary[root.Severity.String()]++
	}
	for _, res := range r.Results {
		doc.Results = append(doc.Results, result{res.Check.ID, res.Status.String(), quote(res.Reason)})
	}
	return doc
}

func newNodes(r Report, in []*cause.Node) []node {
	out := []node{}
	for _, n := range in {
		to := node{
			Check: n.Check.ID, Severity: n.Severity.String(), Title: n.Check.Title, Subject: quoteRef(n.Subject), Places: []facts.Ref{},
			Message: quote(n.Message), Evidence: []evidence{}, Remedy: quote(n.Remedy), ByHand: list(byHand(n)),
			Docs: n.Check.URL, Fixes: list(r.Fixes[n.Check.ID]), Symptoms: newNodes(r, n.Symptoms),
		}
		for _, place := range n.Places {
			to.Places = append(to.Places, quoteRef(place))
		}
		for _, e := range n.Evidence {
			to.Evidence = append(to.Evidence, evidence{quote(e.From), quote(e.Text)})
		}
		for _, d := range n.Deeper {
			at := deeper{Depth: d.Depth.String()}
			for _, c := range d.Checks {
				at.Checks = append(at.Checks, c.ID)
			}
			to.Deeper = append(to.Deeper, at)
		}
		out = append(out, to)
	}
	return out
}

// quote makes text from the cluster valid UTF-8 of a bounded length. Control characters
// stay: JSON and YAML escape them.
func quote(text string) string {
	return strings.ToValidUTF8(cut(head(text, maxQuote), maxQuote), "\uFFFD")
}

func quoteRef(r facts.Ref) facts.Ref {
	return facts.Ref{Kind: quote(r.Kind), Namespace: quote(r.Namespace), Name: quote(r.Name)}
}

// list makes nil an empty list, which JSON tells apart from null.
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

func writeJSON(w io.Writer, r Report) error {
	data, err := marshal(r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

func writeYAML(w io.Writer, r Report) error {
	data, err := marshal(r)
	if err != nil {
		return err
	}
	if data, err = yaml.JSONToYAML(data); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func marshal(r Report) ([]byte, error) {
	data, err := json.MarshalIndent(newDocument(r), "", "  ")
	if err != nil {
		return nil, err
	}
	return EscapeJSON(data), nil
}

// EscapeJSON writes what Clean would replace as JSON escapes, which mean the same: a
// program reads what was there, and a terminal shows it without acting on it.
func EscapeJSON(data []byte) []byte {
	var out []byte
	for _, c := range string(data) {
		if c != '\n' && visible(c) != c {
			out = fmt.Appendf(out, `\u%04x`, c)
		} else {
			out = utf8.AppendRune(out, c)
		}
	}
	return out
}
