package report

import (
	"encoding/json"
	"io"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// SchemaVersion is the version of the JSON report. Fields are added to a version, never
// renamed or removed.
const SchemaVersion = 1

type document struct {
	SchemaVersion int            `json:"schemaVersion"`
	Taken         time.Time      `json:"taken"`
	Server        string         `json:"server"`
	Depth         string         `json:"depth"`
	Namespace     string         `json:"namespace,omitempty"`
	Summary       map[string]int `json:"summary"`
	Roots         []node         `json:"roots"`
	Results       []result       `json:"results"`
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
		SchemaVersion: SchemaVersion, Taken: r.Snapshot.Taken.UTC(), Server: r.Snapshot.Server,
		Depth: r.Snapshot.Depth.String(), Namespace: r.Snapshot.Scope,
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
		doc.Results = append(doc.Results, result{res.Check.ID, res.Status.String(), cut(res.Reason, maxQuote)})
	}
	return doc
}

func newNodes(r Report, in []*cause.Node) []node {
	out := []node{}
	for _, n := range in {
		to := node{
			Check: n.Check.ID, Severity: n.Severity.String(), Title: n.Check.Title, Subject: n.Subject, Places: list(n.Places),
			Message: cut(n.Message, maxQuote), Evidence: []evidence{}, Remedy: n.Remedy, ByHand: list(n.Check.ByHand),
			Docs: n.Check.URL, Fixes: list(r.Fixes[n.Check.ID]), Symptoms: newNodes(r, n.Symptoms),
		}
		for _, e := range n.Evidence {
			to.Evidence = append(to.Evidence, evidence{cut(e.From, maxQuote), cut(e.Text, maxQuote)})
		}
		out = append(out, to)
	}
	return out
}

// list makes nil an empty list, which JSON tells apart from null.
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

func writeJSON(w io.Writer, r Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(newDocument(r))
}

func writeYAML(w io.Writer, r Report) error {
	data, err := yaml.Marshal(newDocument(r))
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
