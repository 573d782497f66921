package fixes

import (
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/service"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ServiceSelector corrects the one label of a Service's selector that its pods lack.
var ServiceSelector = &Fix{
	ID:     "service-selector",
	Title:  "Correct the label of a Service's selector that its pods do not have",
	For:    []*checks.Check{service.SelectorMismatch},
	Risk:   Harmless,
	Settle: endpointsSettle,
	Plan:   planServiceSelector,
	Doc: `Changes one label of the Service's selector: to the value that the pods have, to the key under which they have it, or takes it away where they
have nothing in its place. The rest of the selector stays. No pod is made anew; the Service gets its endpoints, and its address stays.

It is planned only where one correction stands out (service-selector-mismatch tells how that is judged). Refused where the label is all that the
selector says and has nothing in its place, and where the corrected selector would take in the pods of a workload that is not like the one
which is meant. Where neither the workload nor its label is called like the Service, the plan says that it is probable and no more.

Helm and GitOps tools bring their selector back: correct it in the chart or the repository too.`,
}

func planServiceSelector(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	svc, err := subjectService(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	selector, of, certain, err := service.CorrectedSelector(s, svc)
	if err != nil {
		return Plan{}, err
	}
	edited := svc.DeepCopy()
	edited.Spec.Selector = selector
	plan, err := changeService(svc, edited)
	if err == nil && !certain {
		plan.Warnings = []string{fmt.Sprintf("That the Service is meant for %s is probable and no more: its name does not say so.", of)}
	}
	return plan, err
}
