package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func TestByHand(t *testing.T) {
	commands := []string{"kubectl -n NAMESPACE get pod POD -o yaml", "kubectl get --raw /api/v1/namespaces/NAMESPACE/pods/POD:9153/proxy/metrics",
		"kubectl get pods -o custom-columns=POD:.metadata.name,NODE:.spec.nodeName", "kubectl -n NAMESPACE get endpointslices -l name=SERVICE"}
	for name, tt := range map[string]struct {
		subject facts.Ref
		places  []facts.Ref
		want    []string
	}{
		"names of the subject and of its first place": {
			facts.Ref{Kind: "Service", Namespace: "shop", Name: "cart"}, []facts.Ref{{Kind: "Pod", Namespace: "shop", Name: "cart-0"}, {Kind: "Pod", Namespace: "shop", Name: "cart-1"}},
			[]string{"kubectl -n shop get pod cart-0 -o yaml", "kubectl get --raw /api/v1/namespaces/shop/pods/cart-0:9153/proxy/metrics", commands[2], "kubectl -n shop get endpointslices -l name=cart"},
		},
		"a place elsewhere is none of them": {
			facts.Ref{Kind: "Service", Namespace: "shop", Name: "cart"}, []facts.Ref{{Kind: "Pod", Namespace: "other", Name: "x"}},
			[]string{"kubectl -n shop get pod POD -o yaml", "kubectl get --raw /api/v1/namespaces/shop/pods/POD:9153/proxy/metrics", commands[2], "kubectl -n shop get endpointslices -l name=cart"},
		},
		"what a shell could run is not filled in": {facts.Ref{Kind: "Pod", Namespace: "a;b", Name: "$(reboot)"}, nil, commands},
		"nor an option": {facts.Ref{Kind: "Pod", Namespace: "-A", Name: "--all"}, nil, commands},
	} {
		t.Run(name, func(t *testing.T) {
			n := &cause.Node{Finding: checks.Finding{Check: &checks.Check{ByHand: commands}, Subject: tt.subject, Places: tt.places}}
			if d := cmp.Diff(tt.want, byHand(n)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
