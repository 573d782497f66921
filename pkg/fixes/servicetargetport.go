package fixes

import (
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/service"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ServiceTargetPort lets a Service send to a port that its pods have.
var ServiceTargetPort = &Fix{
	ID:     "service-targetport",
	Title:  "Let a Service send to the port that its pods have",
	For:    []*checks.Check{service.TargetPortMismatch},
	Risk:   Harmless,
	Settle: endpointsSettle,
	Plan:   planServiceTargetPort,
	Doc: `Sets targetPort of a Service's port, where it names a port that none of the pods has, to the one that stands out: the only port of that
protocol which all of the pods declare and no other port of the Service leads to, or the only one whose name is a slip of the pen away. By name
where it has one, else by number. All such ports of the Service are corrected together; no pod is made anew.

Refused where none or several stand out, where the only one is called like a port for metrics, health or administration and the Service's
is not, and where some of the pods have the port: then their template or the Service's selector is what is wrong. That the program really
listens on the port which it declares is not known from here.

Helm and GitOps tools bring their targetPort back: correct it in the chart or the repository too.`,
}

func planServiceTargetPort(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	svc, err := subjectService(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	edited := svc.DeepCopy()
	if edited.Spec.Ports, err = service.CorrectedPorts(s, svc); err != nil {
		return Plan{}, err
	}
	return changeService(svc, edited)
}
