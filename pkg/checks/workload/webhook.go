package workload

import (
	"fmt"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Webhook finds admission webhooks whose Service cannot answer.
var Webhook = &checks.Check{
	ID:       "webhook-service-unreachable",
	Title:    "The Service of every admission webhook can answer",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy",
	Needs:    []*facts.Source{facts.ValidatingWebhooks, facts.MutatingWebhooks, facts.Services, facts.EndpointSlices},
	ByHand: []string{"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
		"kubectl get validatingwebhookconfiguration NAME -o jsonpath='{range .webhooks[*]}{.name}{\" \"}{.clientConfig.service}{\" \"}{.failurePolicy}{\"\\n\"}{end}'",
		"kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=SERVICE"},
	Run: findWebhooks,
	Doc: `The API server asks an admission webhook before it stores an object of the kinds that the webhook is for. Where nobody answers at
the Service that the webhook names, failurePolicy decides: with Fail (which it is unless set) every such write is refused, be it a pod
that a Deployment wants to make anew, a node's lease, or the very pod of the webhook; with Ignore it is stored unlooked-at.

**How it comes about**: the program behind the webhook was removed and its configuration was left; its pods are not Ready, or were scaled to zero; the Service
or its port was renamed.

**Cure**: bring the pods behind the Service back. If the program is not wanted any more, delete the configuration of its webhook. If the webhook
keeps its own pods from being made, set failurePolicy to Ignore until they run, or leave their namespace out by namespaceSelector.`,
}

func findWebhooks(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, src := range []*facts.Source{facts.ValidatingWebhooks, facts.MutatingWebhooks} {
		told := map[[2]facts.Ref]bool{}
		for _, b := range s.Backends(src) {
			if told[[2]facts.Ref{b.From, b.Service}] || outOfScope(s, b.Service.Namespace) {
				continue
			}
			why, shown := broken(s, b)
			if why == "" {
				continue
			}
			told[[2]facts.Ref{b.From, b.Service}] = true
			f := webhookFinding(b, why, shown)
			f.Places = places(s, b)
			out = append(out, f)
		}
	}
	return out
}

func webhookFinding(b facts.Backend, why string, shown checks.Evidence) checks.Finding {
	name := strings.TrimPrefix(b.Where, "webhook ")
	f := checks.Finding{
		Subject:  b.From,
		Severity: checks.Info,
		Message:  fmt.Sprintf("asks %s, %s, and lets pass what it is for (failurePolicy Ignore)", b.Service, why),
		Evidence: []checks.Evidence{checks.Quote(b.From.String()+", "+name, fmt.Sprintf("service %s, port %s", b.Service.Key(), b.PortText())), shown},
		Remedy:   fmt.Sprintf("Bring %s back; if its program was removed, delete %s.", b.Service, b.From),
	}
	if b.Required {
		f.Severity = checks.Error
		f.Message = fmt.Sprintf("asks %s, %s: the API server refuses every write that it is for (failurePolicy Fail)", b.Service, why)
	}
	return f
}
