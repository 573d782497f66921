// Package policy holds the checks of NetworkPolicies: whom they cut off from cluster
// DNS, whether anything enforces them, and whether they select what they are meant for.
package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	// grace is how old a policy must be: the one that completes it may come a moment later.
	grace = time.Minute
	// quoted is how much of a policy is quoted, in bytes.
	quoted = 400
	// shown is how many names are quoted.
	shown = 3
)

// Checks lists the package's checks.
func Checks() []*checks.Check {
	return []*checks.Check{BlocksDNS, NotEnforced, DefaultDeny, EmptySelector}
}

func ref(np *networkingv1.NetworkPolicy) facts.Ref {
	return facts.Ref{Kind: "NetworkPolicy", Namespace: np.Namespace, Name: np.Name}
}

func young(s *facts.Snapshot, np *networkingv1.NetworkPolicy) bool {
	return s.Taken.Sub(np.CreationTimestamp.Time) < grace
}

// restricts tells whether a policy limits traffic of one direction. Without policyTypes
// that is ingress, and egress where it has egress rules (k8s.io/api/networking/v1).
func restricts(np *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	return slices.Contains(np.Spec.PolicyTypes, direction) ||
		len(np.Spec.PolicyTypes) == 0 && (direction == networkingv1.PolicyTypeIngress || len(np.Spec.Egress) > 0)
}

// quote tells what a policy says of one direction, as JSON with room to break lines.
func quote(np *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) checks.Evidence {
	spec := networkingv1.NetworkPolicySpec{PodSelector: np.Spec.PodSelector, PolicyTypes: np.Spec.PolicyTypes, Ingress: np.Spec.Ingress}
	if direction == networkingv1.PolicyTypeEgress {
		spec.Ingress, spec.Egress = nil, np.Spec.Egress
	}
	data, err := json.Marshal(spec)
	if err != nil {
		data = nil // plain values marshal
	}
	text := strings.NewReplacer(`,"`, `, "`, `},{`, `}, {`, `":`, `": `).Replace(string(data))
	if len(text) > quoted {
		text = text[:quoted] + "…"
	}
	return checks.Quote(ref(np).String()+", spec", text)
}
