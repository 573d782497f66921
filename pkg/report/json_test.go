package report_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
)

// schema lists the keys of version 1. Keys are added, never renamed or removed:
// somebody's program reads them.
var schema = []string{
	".depth", ".namespace", ".results", ".results[].check", ".results[].reason", ".results[].status",
	".roots", ".roots[].byHand", ".roots[].check", ".roots[].deeper", ".roots[].deeper[].checks",
	".roots[].deeper[].depth", ".roots[].docs", ".roots[].evidence", ".roots[].evidence[].from",
	".roots[].evidence[].text", ".roots[].fixes", ".roots[].message", ".roots[].places", ".roots[].places[].kind",
	".roots[].places[].name", ".roots[].places[].namespace", ".roots[].remedy", ".roots[].severity", ".roots[].subject",
	".roots[].subject.kind", ".roots[].subject.name", ".roots[].subject.namespace", ".roots[].symptoms", ".roots[].title",
	".schemaVersion", ".server", ".summary", ".summary.error", ".summary.info", ".summary.ok", ".summary.skipped",
	".summary.unknown", ".summary.warning", ".taken",
}

func TestSchema(t *testing.T) {
	r := loop(t)
	r.Snapshot.Scope = "shop" // left out where all namespaces were looked at
	for format, unmarshal := range map[string]func([]byte, any) error{
		"json": json.Unmarshal,
		"yaml": func(data []byte, v any) error { return yaml.Unmarshal(data, v) },
	} {
		var doc any
		if err := unmarshal([]byte(write(t, r, format, report.Style{})), &doc); err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		keys(doc, "", found)
		if diff := cmp.Diff(schema, slices.Sorted(maps.Keys(found))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

// keys notes the path of every key. A symptom has the shape of a root, so that its keys
// count as a root's.
func keys(v any, path string, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			found[path+"."+k] = true
			if k == "symptoms" {
				keys(inner, ".roots", found)
				continue
			}
			keys(inner, path+"."+k, found)
		}
	case []any:
		for _, inner := range v {
			keys(inner, path+"[]", found)
		}
	}
}

// TestNoNulls: who reads a list must not have to ask first whether there is one.
func TestNoNulls(t *testing.T) {
	for name, r := range reports(t) {
		var doc any
		if err := json.Unmarshal([]byte(write(t, r, "json", report.Style{})), &doc); err != nil {
			t.Fatal(err)
		}
		if hasNull(doc) {
			t.Errorf("%s: a value is null", name)
		}
	}
}

func hasNull(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), hasNull)
	case []any:
		return slices.ContainsFunc(v, hasNull)
	}
	return v == nil
}

func TestSummaryCounts(t *testing.T) {
	var got struct{ Summary map[string]int }
	if err := json.Unmarshal([]byte(write(t, several(), "json", report.Style{})), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"error": 1, "warning": 1, "info": 1, "ok": 1, "unknown": 0, "skipped": 0}
	if diff := cmp.Diff(want, got.Summary); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
