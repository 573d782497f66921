package tries

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// HeldBy says of a NetworkPolicy of the tries' own namespace that it may be what they tell of.
func HeldBy(np *networkingv1.NetworkPolicy) string {
	return fmt.Sprintf("NetworkPolicy %s/%s limits what the pods that try can reach", np.Namespace, np.Name)
}

// Held says why what pods tried may tell of policies and not of the network, or "": a
// NetworkPolicy of their own namespace, or a plugin that knows policies which are not read,
// where not even the pod beside them answered any. It reads NetworkPolicies and Pods.
//
// Whoever lets pods try looks at that namespace once more when they have (pkg/probe), whatever
// was listed before, and brings no tries where it has a policy or could not be read.
func Held(s *facts.Snapshot) string {
	for _, np := range s.NetworkPolicies {
		if np.Namespace == facts.ProbeNamespace {
			return HeldBy(np)
		}
	}
	links := Links(s)
	local := false
	for p, l := range links {
		if l.Trouble() != Dead {
			return ""
		}
		local = local || p.From == p.To
	}
	if p := ruler(s); local && p != nil {
		return fmt.Sprintf("no pod reached even the one beside it, as where a %s of %s, which is not read, forbids it to namespace %s",
			p.Policies, p.Name, facts.ProbeNamespace)
	}
	return ""
}

// Rulers says to look at policies that are not read, or "". It reads Pods.
func Rulers(s *facts.Snapshot) string {
	if p := ruler(s); p != nil {
		return fmt.Sprintf(" Objects of kind %s were not read: none may forbid it to namespace %s.", p.Policies, facts.ProbeNamespace)
	}
	return ""
}

// ruler returns a plugin that knows policies of its own.
func ruler(s *facts.Snapshot) *plugins.Plugin {
	for _, pod := range plugins.Agents(s) {
		if p := plugins.Agent(pod); p.Policies != "" {
			return p
		}
	}
	return nil
}
