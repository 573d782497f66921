package main

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
)

// closed adds what must be read before these sources can be, and leaves out parts of
// what is read whole. It comes in the order of facts.Sources.
func closed(sources []*facts.Source) []*facts.Source {
	want := slices.Clone(sources)
	if slices.ContainsFunc(want, namesPods) {
		want = append(want, facts.SystemPods)
	}
	if slices.Contains(want, facts.Answers) {
		want = append(want, facts.SystemServices)
	}
	if slices.Contains(want, facts.Configz) || slices.Contains(want, facts.Files) {
		want = append(want, facts.Nodes)
	}
	if slices.Contains(want, facts.Tries) {
		want = append(want, facts.Nodes, facts.SystemPods, facts.SystemServices, facts.SystemEndpointSlices)
	}
	var out []*facts.Source
	for _, src := range want {
		if !slices.Contains(out, src) && (src.Whole == nil || !slices.Contains(want, src.Whole)) {
			out = append(out, src)
		}
	}
	order := facts.Sources()
	slices.SortStableFunc(out, func(a, b *facts.Source) int {
		return slices.Index(order, a.All()) - slices.Index(order, b.All())
	})
	return out
}

// namesPods tells whether the network stack's pods say what to ask for.
func namesPods(src *facts.Source) bool {
	return src == facts.PodLogs || src == facts.Proxy || src == facts.Metrics || src == facts.Answers || src == facts.ConfigMaps
}

// beyond returns of what reading more takes those sources for which the rights to read
// some do not suffice.
func beyond(some, more []*facts.Source) []*facts.Source {
	have := closed(some)
	return slices.DeleteFunc(closed(slices.Concat(some, more)), func(src *facts.Source) bool {
		return slices.ContainsFunc(have, func(h *facts.Source) bool { return right(h) == right(src) })
	})
}

// right says what a user must be allowed for a source to be read, or "" where package
// gather has no rule for it.
func right(src *facts.Source) string {
	switch src {
	case facts.Files:
		return "a pod on each node ([depths.md](depths.md))"
	case facts.Tries:
		return "pods that try traffic ([depths.md](depths.md))"
	case facts.Answers:
		return "create `pods/portforward` of the DNS servers"
	}
	var out []string
	for _, rule := range gather.Rules([]*facts.Source{src}) {
		for _, resource := range rule.Resources {
			out = append(out, strings.Join(rule.Verbs, ", ")+" `"+qualified(rule, resource)+"`"+scope(src))
		}
	}
	return strings.Join(out, "; ")
}

// qualified names a resource as kubectl does: daemonsets.apps, and pods of the core group.
func qualified(rule rbacv1.PolicyRule, resource string) string {
	if group := rule.APIGroups[0]; group != "" {
		return resource + "." + group
	}
	return resource
}

// scope says of which objects a source consists.
func scope(src *facts.Source) (out string) {
	switch {
	case src == facts.ConfigMaps:
		return " by name"
	case src == facts.PodLogs:
		return " of the network stack"
	case src == facts.Proxy || src == facts.Metrics || src == facts.Answers:
		return " of the DNS servers"
	case src.Whole == facts.Services:
		return " in the system namespaces and `default`"
	case src.Whole != nil:
		return " in the system namespaces"
	case src.Namespaced:
		out = " in all namespaces"
	}
	if src.Addon {
		out += ", where that API exists"
	}
	return out
}

// rights joins what these sources take.
func rights(sources []*facts.Source) string {
	var out []string
	for _, src := range sources {
		if r := right(src); !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return strings.Join(out, "; ")
}

// rightsByDepth is the same, told by the depth at which each is read.
func rightsByDepth(sources []*facts.Source) string {
	var out []string
	for d := facts.API; d <= facts.Host; d++ {
		at := slices.DeleteFunc(slices.Clone(sources), func(src *facts.Source) bool { return src.Depth != d })
		if len(at) > 0 {
			out = append(out, "at `"+d.String()+"` "+rights(at))
		}
	}
	return strings.Join(out, "; ")
}
