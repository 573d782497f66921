package fixes

import (
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/policy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NetpolAllowWebhook lets the API server reach an admission webhook that a policy closes.
var NetpolAllowWebhook = &Fix{
	ID:    "netpol-allow-webhook",
	Title: "Let the API server reach an admission webhook that a NetworkPolicy closes",
	For:   []*checks.Check{policy.DefaultDeny},
	Risk:  Harmless,
	Cost: "it opens the webhook's port to whoever reaches its pods: no selector of pods matches the API server, and which address it comes from depends on the network plugin." +
		" Where that address is known, a policy with an ipBlock for it opens less.",
	Settle: endpointsSettle,
	Plan:   planNetpolAllowWebhook,
	Doc: `Makes a NetworkPolicy allow-webhook-SERVICE beside the one that keeps the API server from an admission webhook: ingress over TCP to the port at which the
webhook's Service reaches its pods, from everywhere, for those pods of the Service that the closing policy selects. Nothing that is there is
changed; policies add up. undo deletes what was made.

It costs security and needs --accept-risk: the port is open to every pod as well. Webhooks answer over TLS and are made to be asked by the API
server alone; whether this one looks who asks is not known.

It does not cure a namespace into which no policy lets anybody: who may come in there, only its owner can say.`,
}

func planNetpolAllowWebhook(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	opening, err := policy.WebhookOpening(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	return addPolicies(s, f.Subject, opening)
}
