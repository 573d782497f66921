package workload_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/workload"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checktest"
)

func TestChecks(t *testing.T) { checktest.Run(t, workload.Checks()) }

// A Service without endpoints explains what leads to it, and not what leads elsewhere
// from the same object.
func TestServiceExplainsItsOwnBackends(t *testing.T) {
	s := checktest.Load(t, "testdata/backends-broken.txtar")
	list := append([]*checks.Check{symptom.ServiceNoEndpoints}, workload.IngressBackend, workload.Webhook)
	var got []string
	for _, root := range cause.Roots(s, checks.Run(s, list)) {
		got = append(got, root.Subject.Path())
		for _, below := range root.Symptoms {
			got = append(got, "  "+below.Subject.Path())
		}
	}
	want := []string{
		"HTTPRoute/shop/route", "Ingress/shop/by-name", "Ingress/shop/by-name", "Ingress/shop/renamed", "MutatingWebhookConfiguration/injector",
		"Service/shop/cart", "  Ingress/shop/front", "  ValidatingWebhookConfiguration/certs",
	}
	first := slices.Index(got, "Service/shop/cart")
	if first < 0 || first+3 > len(got) {
		t.Fatalf("got %q", got)
	}
	below := slices.Clone(got[first : first+3])
	rest := slices.Delete(slices.Clone(got), first, first+3)
	slices.Sort(rest)
	if d := cmp.Diff(want, append(rest, below...)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
