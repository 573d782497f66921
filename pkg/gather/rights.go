package gather

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Rules returns the least rights that reading these sources takes.
func Rules(sources []*facts.Source) []rbacv1.PolicyRule {
	byGroup := map[string][]string{}
	var groups []string
	var out []rbacv1.PolicyRule
	for _, src := range facts.Sources() {
		asked := slices.ContainsFunc(sources, func(s *facts.Source) bool { return s.All() == src })
		if !asked || !src.Object() || src == facts.ConfigMaps {
			continue
		}
		if !slices.Contains(groups, src.Group) {
			groups = append(groups, src.Group)
		}
		byGroup[src.Group] = append(byGroup[src.Group], src.Name)
	}
	for _, group := range groups {
		out = append(out, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: byGroup[group], Verbs: []string{"list"}})
	}
	add := func(src *facts.Source, resource string, names ...string) {
		if slices.Contains(sources, src) {
			out = append(out, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{"get"}, ResourceNames: names})
		}
	}
	var names []string
	for _, key := range WellKnownConfigMaps() {
		_, name, _ := strings.Cut(key, "/")
		names = append(names, name)
	}
	add(facts.ConfigMaps, "configmaps", names...)
	add(facts.PodLogs, "pods/log")
	if slices.Contains(sources, facts.Metrics) && !slices.Contains(sources, facts.Proxy) {
		sources = append(slices.Clone(sources), facts.Proxy)
	}
	add(facts.Proxy, "pods/proxy")
	add(facts.Configz, "nodes/proxy")
	if slices.Contains(sources, facts.Answers) {
		out = append(out, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}})
	}
	return out
}
