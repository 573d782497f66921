package workload

import (
	"cmp"
	"fmt"
	"time"

	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// lasting is how long an aggregated API must be away: the API server looks every half
// minute, and a roll-out of one replica takes less than this.
const lasting = 2 * time.Minute

// APIService finds aggregated APIs that the API server cannot reach.
var APIService = &checks.Check{
	ID:       "apiservice-unavailable",
	Title:    "The API server reaches every aggregated API",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/",
	Needs:    []*facts.Source{facts.APIServices},
	ByHand: []string{"kubectl get apiservices", "kubectl describe apiservice NAME",
		"kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=SERVICE"},
	Run: findAPIServices,
	Doc: `An APIService hands a part of the API to a program in the cluster (metrics-server, custom metrics, an operator's own API). The API server
looks whether it answers and says so in the condition Available. While it does not, kubectl top, autoscaling or whatever that API is for
fails, kubectl is slow and prints errors of discovery, and namespaces that are deleted stay Terminating, since nobody knows what they still hold.

**How it comes about**: by the condition's reason: the Service does not exist (ServiceNotFound), lacks the port (ServicePortError), has no
endpoint (EndpointsNotFound, MissingEndpoints); or it has, and does not answer the API server (FailedDiscoveryCheck): the control plane does not reach the
pods' network, a NetworkPolicy or firewall is between, or the program answers with an error.

**Cure**: bring the pods behind the Service back. For FailedDiscoveryCheck, see whether the control plane's hosts reach the pod at its
target port: programs such as metrics-server are run with hostNetwork where they do not. If the program was removed, delete the APIService.`,
}

func findAPIServices(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, a := range s.APIServices {
		c := away(a)
		if c == nil || s.Taken.Sub(c.LastTransitionTime.Time) < lasting || s.Taken.Sub(a.CreationTimestamp.Time) < patience {
			continue
		}
		out = append(out, apiServiceFinding(a, c))
	}
	return out
}

// away returns the condition that says that an aggregated API is not available, or nil.
func away(a *apiregistrationv1.APIService) *apiregistrationv1.APIServiceCondition {
	for i := range a.Status.Conditions {
		if c := &a.Status.Conditions[i]; c.Type == apiregistrationv1.Available && c.Status == apiregistrationv1.ConditionFalse && a.Spec.Service != nil {
			return c
		}
	}
	return nil
}

func apiServiceFinding(a *apiregistrationv1.APIService, c *apiregistrationv1.APIServiceCondition) checks.Finding {
	service := facts.Ref{Kind: "Service", Namespace: a.Spec.Service.Namespace, Name: a.Spec.Service.Name}
	f := checks.Finding{
		Subject:  facts.Ref{Kind: facts.APIServices.Kind, Name: a.Name},
		Places:   []facts.Ref{service},
		Evidence: []checks.Evidence{checks.Quote("APIService "+a.Name+", condition Available", fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message))},
		Remedy:   fmt.Sprintf("Bring %s back; if its program was removed, delete the APIService.", service),
	}
	switch c.Reason {
	case "ServiceNotFound":
		f.Message = fmt.Sprintf("hands its API to %s, which does not exist", service)
	case "ServicePortError":
		f.Message = fmt.Sprintf("hands its API to a port that %s does not have", service)
		f.Remedy = fmt.Sprintf("Set spec.service.port of the APIService to a port that %s has.", service)
	case "EndpointsNotFound", "MissingEndpoints":
		f.Message = fmt.Sprintf("hands its API to %s, behind which nobody is ready", service)
	case "FailedDiscoveryCheck":
		f.Message = fmt.Sprintf("hands its API to %s, which does not answer the API server as it should", service)
		f.Remedy = fmt.Sprintf("Look at the logs of the pods behind %s, and whether the control plane's hosts reach them: a firewall, a NetworkPolicy, or no route to the pods' network.", service)
	default:
		f.Message = fmt.Sprintf("hands its API to %s, which is not available (%s)", service, cmp.Or(c.Reason, "no reason is given"))
	}
	return f
}
