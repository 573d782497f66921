package fixes

import (
	"fmt"
	"maps"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// DNSServiceSelector lets the DNS Service select the pods of CoreDNS again.
var DNSServiceSelector = &Fix{
	ID:     "dns-service-selector",
	Title:  "Let the DNS Service select the pods of CoreDNS",
	For:    []*checks.Check{coredns.ServiceSelector},
	Risk:   Harmless,
	Settle: endpointsSettle,
	Plan:   planDNSServiceSelector,
	Doc: `Sets spec.selector of the DNS Service to the labels by which the Deployment (or DaemonSet) of CoreDNS selects its own pods: they are on
every pod of it, also after an update. No pod is made anew; clients notice that names resolve.

Refused where several workloads serve DNS in the Service's namespace, where the servers belong to none, or where other pods carry the
same labels: then which pods are meant, only a person can say. It does not touch the pods' labels, nor the Service's address and ports.

An operator or an add-on manager puts its own selector back; Helm does so at the next upgrade.`,
}

func planDNSServiceSelector(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	svc, err := subjectService(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	w, err := dnsWorkloadIn(s, svc.Namespace)
	if err != nil {
		return Plan{}, err
	}
	if maps.Equal(svc.Spec.Selector, w.selector) {
		return Plan{}, fmt.Errorf("the Service has the labels of %s already (%s)", w.ref, labelWords(w.selector))
	}
	edited := svc.DeepCopy()
	edited.Spec.Selector = maps.Clone(w.selector)
	return changeService(svc, edited)
}
