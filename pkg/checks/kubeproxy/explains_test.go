package kubeproxy_test

import (
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

// A kube-proxy that cannot write its rules explains CoreDNS of its own node, and of no other.
func TestSyncErrorsExplain(t *testing.T) {
	s := checktest.Load(t, "testdata/sync-coredns.txtar")
	list := []*checks.Check{kubeproxy.SyncErrors, kubeproxy.NotSynced, coredns.APIUnreachable}
	roots := map[string][]string{}
	for _, n := range cause.Roots(s, checks.Run(s, list)) {
		key := n.Check.ID + " " + n.Subject.Name
		roots[key] = []string{}
		for _, below := range n.Symptoms {
			roots[key] = append(roots[key], below.Check.ID+" "+below.Subject.Name)
		}
	}
	if got := roots["kube-proxy-sync-errors kube-proxy-s1"]; len(got) != 2 || got[0] != "kube-proxy-not-synced kube-proxy-s1" ||
		got[1] != "coredns-api-unreachable dns-a" {
		t.Errorf("below kube-proxy-sync-errors: got %q", got)
	}
	if _, alone := roots["coredns-api-unreachable dns-b"]; len(roots) != 2 || !alone {
		t.Errorf("roots: got %v", roots)
	}
}
