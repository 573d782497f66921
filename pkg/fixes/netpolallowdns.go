package fixes

import (
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/policy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NetpolAllowDNS lets pods that policies cut off ask cluster DNS.
var NetpolAllowDNS = &Fix{
	ID:     "netpol-allow-dns",
	Title:  "Let the pods that a NetworkPolicy cuts off ask cluster DNS",
	For:    []*checks.Check{policy.BlocksDNS},
	Risk:   Harmless,
	Settle: endpointsSettle,
	Plan:   planNetpolAllowDNS,
	Doc: `Makes a NetworkPolicy allow-dns-egress beside the one that cuts pods off, for exactly the pods that that one selects: egress over UDP and TCP
to the DNS pods, by their namespace and labels, at the port where they listen; and where NodeLocal DNSCache runs, to the addresses that pods ask on
their node, by ipBlock. Where the DNS pods themselves are closed, it makes allow-dns-ingress beside that policy, for all namespaces. Nothing
that is there is changed; policies add up. undo deletes what was made.

Only pods that policies limit already are selected: the first policy that selects a pod cuts it off from everything else. That the finding is
gone with the new policy is worked out before it is offered.

Where the pods may have no need of names, or policies of the plugin's own kinds may allow DNS already, --accept-risk is needed, since DNS is also a
way out. Refused where the DNS servers run on their nodes' network or cannot be told by labels. What the names lead to stays as closed as it was, and
a policy of the plugin's own kind that denies DNS stays in force.`,
}

func planNetpolAllowDNS(s *facts.Snapshot, f checks.Finding, params Params) (Plan, error) {
	opening, err := policy.DNSOpening(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	if opening.Doubt != "" && !params.AcceptRisk {
		return Plan{}, fmt.Errorf("%s; if they are to resolve names, repeat with --accept-risk", opening.Doubt)
	}
	plan, err := addPolicies(s, f.Subject, opening)
	plan.Warnings = append(plan.Warnings, "What the names lead to stays as closed as it was.")
	return plan, err
}

// addPolicies makes the plan of new policies beside one that is there.
func addPolicies(s *facts.Snapshot, beside facts.Ref, opening policy.Opening) (Plan, error) {
	var plan Plan
	for _, np := range opening.Policies {
		change, err := changeOf("NetworkPolicy", "networking.k8s.io/v1", nil, np)
		if err != nil {
			return Plan{}, err
		}
		plan.Changes = append(plan.Changes, change)
	}
	for _, np := range s.NetworkPolicies {
		if np.Namespace != beside.Namespace || np.Name != beside.Name {
			continue
		}
		kept, err := object("NetworkPolicy", "networking.k8s.io/v1", np)
		if err != nil {
			return Plan{}, err
		}
		if owner := ownerOf(s, kept); owner != nil {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s belongs to %s: put the new policy there too, or it is lost when the namespace is made anew.", beside, owner.Name))
		}
	}
	if opening.Unread != "" {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("Policies of kinds that only %s knows were not read: one that denies stays in force.", opening.Unread))
	}
	return plan, nil
}
