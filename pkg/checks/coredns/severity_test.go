package coredns_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

// TestSeverity proves that what is only about to break, or broken in part, is a warning,
// which the fixtures' want lines do not tell.
func TestSeverity(t *testing.T) {
	tests := []struct {
		fixture string
		check   *checks.Check
		want    checks.Severity
	}{
		{"corefile-at-next-start", coredns.CorefileError, checks.Warning},
		{"corefile-removed-option", coredns.CorefileError, checks.Warning},
		{"corefile-unread-log", coredns.CorefileError, checks.Error},
		{"rbac-binding-gone", coredns.RBAC, checks.Warning},
		{"rbac-serving-without", coredns.RBAC, checks.Error},
		{"rbac-role-gone", coredns.RBAC, checks.Error},
		{"rbac-account-gone", coredns.RBAC, checks.Error},
		{"pending-surplus", coredns.Pending, checks.Info},
		{"pending-surplus-some", coredns.Pending, checks.Warning},
		{"pending-no-cni", coredns.Pending, checks.Error},
		{"selector", coredns.ServiceSelector, checks.Error},
		{"selector-strangers", coredns.ServiceSelector, checks.Warning},
		{"selector-strangers-only", coredns.ServiceSelector, checks.Error},
		{"ports-no-tcp", coredns.ServicePorts, checks.Warning},
		{"ports-no-udp", coredns.ServicePorts, checks.Error},
	}
	for _, tt := range tests {
		t.Run(tt.fixture, func(t *testing.T) {
			findings := checks.Run(checktest.Load(t, "testdata/"+tt.fixture+".txtar"), []*checks.Check{tt.check})[0].Findings
			if len(findings) == 0 {
				t.Error("nothing found")
			}
			for _, f := range findings {
				if f.Severity != tt.want {
					t.Errorf("got %s, want %s", f.Severity, tt.want)
				}
			}
		})
	}
}
