package policy

import (
	"fmt"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// NotEnforced finds NetworkPolicies in clusters where nothing acts on them.
var NotEnforced = &checks.Check{
	ID:       "netpol-not-enforced",
	Title:    "Something enforces the NetworkPolicies",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites",
	Needs:    []*facts.Source{facts.NetworkPolicies, facts.Pods, facts.Nodes},
	MayUse:   []*facts.Source{facts.ConfigMaps, facts.ClusterRoles, facts.ClusterRoleBindings},
	When:     notKnown,
	ByHand:   []string{"kubectl get networkpolicies -A", "kubectl get daemonsets -A -o wide   # the network plugin and its containers"},
	Run:      findNotEnforced,
	Doc: `The API server takes NetworkPolicies whether or not anything acts on them: that is the work of the network
plugin, or of a program beside it. Without one every pod may talk to every other, and whoever wrote the policies believes
otherwise. Nothing is cut off by it; what should be closed is open.

**How it comes about**: Flannel alone only routes; the VPC CNI of AWS enforces policies only where that is enabled; k3s and
kube-router can be told not to; charts bring policies along that nobody looked for. It is told only where the plugin is known and
everything that could enforce is seen not to.

**Cure**: enable what the plugin has for it, run kube-network-policies beside it, or change to a plugin that enforces them
(Calico, Cilium). Try it on one namespace first: policies that were never enforced have never been tried, and most often
forget DNS.`,
}

// notKnown says why it cannot be told whether policies are enforced, where there are any.
func notKnown(s *facts.Snapshot) string {
	if len(s.NetworkPolicies) == 0 || findEnforcer(s).answer != unsure {
		return ""
	}
	return "nothing shows whether the network plugin enforces NetworkPolicies"
}

func findNotEnforced(s *facts.Snapshot) []checks.Finding {
	var names []string
	for _, np := range s.NetworkPolicies {
		if !young(s, np) {
			names = append(names, np.Namespace+"/"+np.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	e := findEnforcer(s)
	if e.answer != no {
		return nil
	}
	return []checks.Finding{{
		Subject: facts.Cluster(),
		Message: "has NetworkPolicies, and nothing that enforces them",
		Evidence: []checks.Evidence{
			checks.Quote(e.where, fmt.Sprintf("%s does not enforce NetworkPolicies: %s", e.name, e.why)),
			checks.Quote("NetworkPolicies", fmt.Sprintf("%d: %s", len(names), some(names))),
		},
		Remedy: e.cure + ", or delete policies that nobody needs; until then no traffic is refused.",
	}}
}

// some names the first of a list.
func some(names []string) string {
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
