package checks_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// The names are what scripts and --fail-on hold on to.
func TestNames(t *testing.T) {
	severities := map[checks.Severity]string{
		checks.Info: "info", checks.Warning: "warning", checks.Error: "error", -1: "severity(-1)", 9: "severity(9)",
	}
	for s, want := range severities {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	statuses := map[checks.Status]string{
		checks.OK: "ok", checks.Failed: "failed", checks.Unknown: "unknown", checks.Skipped: "skipped", -1: "status(-1)", 9: "status(9)",
	}
	for s, want := range statuses {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Severities are compared as numbers, and zero means that none was given.
func TestSeverityOrder(t *testing.T) {
	order := []checks.Severity{0, checks.Info, checks.Warning, checks.Error}
	for i := range order[1:] {
		if order[i] >= order[i+1] {
			t.Errorf("%s is not below %s", order[i], order[i+1])
		}
	}
}

// A Result that nobody filled in must not read as health.
func TestZeroStatus(t *testing.T) {
	if (checks.Result{}).Status == checks.OK {
		t.Error("the zero Result is ok")
	}
}

func TestQuote(t *testing.T) {
	want := checks.Evidence{From: "Node rack-7, ip-route", Text: "default via 198.51.100.1"}
	if got := checks.Quote("Node rack-7, ip-route", "default via 198.51.100.1"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want = checks.Evidence{From: "Pod dns/resolver-b, previous log", Text: "plugin/loop: Loop detected"}
	if got := checks.QuoteLog(&facts.Pod{Namespace: "dns", Name: "resolver-b"}, "previous log", "plugin/loop: Loop detected"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
