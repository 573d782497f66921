package kubeproxy_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

// How grave a finding is depends on whether anybody is cut off yet.
func TestSeverity(t *testing.T) {
	for _, tt := range []struct {
		name string
		want checks.Severity
	}{
		{"missing-cluster", checks.Error},       // CoreDNS waits
		{"missing-deleted", checks.Warning},     // CoreDNS is Ready: old rules still serve
		{"missing-selector", checks.Error},      // a node is cut off
		{"missing-static", checks.Warning},      // only the mirror may be missing
		{"config-local-mode", checks.Error},     // kube-proxy crashes
		{"config-misspelt", checks.Warning},     // kube-proxy runs
		{"config-edited-later", checks.Warning}, // kube-proxy crashes at its next start
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := checktest.Load(t, "testdata/"+tt.name+".txtar")
			told := 0
			for _, r := range checks.Run(s, []*checks.Check{kubeproxy.ConfigInvalid, kubeproxy.Missing}) {
				told += len(r.Findings)
				for _, f := range r.Findings {
					if f.Severity != tt.want {
						t.Errorf("%s %s: got %s, want %s", f.Subject, f.Message, f.Severity, tt.want)
					}
				}
			}
			if told == 0 {
				t.Error("nothing found")
			}
		})
	}
}
