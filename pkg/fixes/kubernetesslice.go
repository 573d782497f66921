package fixes

import (
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/service"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// KubernetesSlice deletes the EndpointSlices that somebody added by hand to the API
// server's own Service.
var KubernetesSlice = &Fix{
	ID:     "kubernetes-slice",
	Title:  "Delete the EndpointSlice that somebody added to the kubernetes Service",
	For:    []*checks.Check{service.KubernetesBroken},
	Risk:   Harmless,
	Settle: endpointsSettle,
	Plan:   planKubernetesSlice,
	Doc: `Deletes the EndpointSlices with the label kubernetes.io/service-name=kubernetes, in namespace default, that list endpoints where no API server says
that it is: clients of the API no longer get to those. The slice that the API servers keep themselves is never touched. undo makes the deleted
ones again.

Only what somebody added by hand is deleted. Refused where a slice has the label endpointslice.kubernetes.io/managed-by or an owner, since a
controller would make it again; where the Service has a selector; and where something else is wrong with the Service too. It does not
cure an API server that lists itself by a wrong address: that is --advertise-address of kube-apiserver.`,
}

func planKubernetesSlice(s *facts.Snapshot, _ checks.Finding, _ Params) (Plan, error) {
	strays, err := service.StraySlices(s)
	if err != nil {
		return Plan{}, err
	}
	var plan Plan
	for _, es := range strays {
		if es.ManagedBy != "" {
			return Plan{}, fmt.Errorf("%s is kept by %q, which would make it again: correct what that goes by", es.Ref(), es.ManagedBy)
		}
		if es.Whole == nil {
			return Plan{}, &InPartError{es.Ref()}
		}
		if owners := es.Whole.OwnerReferences; len(owners) > 0 {
			return Plan{}, fmt.Errorf("%s belongs to %s %s, which would make it again: correct that", es.Ref(), owners[0].Kind, owners[0].Name)
		}
		change, err := changeOf("EndpointSlice", discoveryv1.SchemeGroupVersion.String(), es.Whole, nil)
		if err != nil {
			return Plan{}, err
		}
		plan.Changes = append(plan.Changes, change)
	}
	return plan, nil
}
