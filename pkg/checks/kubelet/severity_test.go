package kubelet_test

import (
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubelet"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

// How grave a loopback address is depends on whether anybody is given it, and whether
// another server stands beside it; the cure names the file that has real servers.
func TestLoopbackSeverityAndRemedy(t *testing.T) {
	for _, tt := range []struct {
		fixture, node string
		want          checks.Severity
		remedy        string
	}{
		{"loop", "node1", checks.Warning, "a file that names real servers"}, // CoreDNS may move there
		{"loop", "node2", checks.Error, "a file that names real servers"},   // CoreDNS is there
		{"forms", "ol8-mixed", checks.Warning, "resolvConf: /run/systemd/resolve/resolv.conf"},
		{"forms", "empty", checks.Warning, "a file that names real servers"},
	} {
		t.Run(tt.fixture+" "+tt.node, func(t *testing.T) {
			s := checktest.Load(t, "testdata/"+tt.fixture+".txtar")
			told := false
			for _, f := range checks.Run(s, []*checks.Check{kubelet.ResolvConfLoopback})[0].Findings {
				if f.Subject.Name != tt.node {
					continue
				}
				told = true
				if f.Severity != tt.want || !strings.Contains(f.Remedy, tt.remedy) {
					t.Errorf("got %s, %q; want %s, %q", f.Severity, f.Remedy, tt.want, tt.remedy)
				}
			}
			if !told {
				t.Error("nothing found")
			}
		})
	}
}
