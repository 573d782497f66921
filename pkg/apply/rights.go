package apply

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// Right is something that a repair must be allowed. Without a name it is for all objects
// of the namespace, and without a namespace for those of the cluster.
type Right struct {
	Verb, Group, Resource, Subresource string
	Namespace, Name                    string

	// Optional says that a repair goes on without it, in another way; Journal, that it is
	// for the entry in the cluster's journal.
	Optional, Journal bool
}

// Rights returns what a plan must be allowed, besides looking at the cluster: its writes
// and their dry run, its rollouts, the pods to delete, the journal, undoing it, and, where
// pods are given, questions to them through a port-forward. mapper may be nil: then the
// names of resources are guessed from the kinds.
func Rights(plan fixes.Plan, mapper meta.RESTMapper, ask []*facts.Pod) ([]Right, error) {
	var out []Right
	for _, c := range plan.Changes {
		if fixes.IsSetting(c.Object()) {
			continue // pods there take what a look at the depth host takes
		}
		resource, err := resourceOf(mapper, c)
		if err != nil {
			return nil, err
		}
		of := Right{Group: resource.Group, Resource: resource.Resource, Namespace: c.Ref().Namespace, Name: c.Ref().Name}
		create := Right{Verb: "create", Group: of.Group, Resource: of.Resource, Namespace: of.Namespace}
		switch {
		case c.Before != nil && c.After != nil:
			out = append(out, of.to("get"), of.to("patch"))
		default:
			out = append(out, of.to("get"), create, of.to("delete")) // one to do it, one to undo it
		}
	}
	for _, r := range plan.Rollouts {
		out = append(out, Right{Verb: "get", Group: "apps", Resource: strings.ToLower(r.Kind) + "s", Namespace: r.Namespace, Name: r.Name})
		if len(plan.Restarts) > 0 {
			out = append(out, Right{Verb: "list", Resource: "pods", Namespace: r.Namespace, Optional: true})
		}
	}
	for _, p := range plan.Restarts {
		out = append(out, Right{Verb: "delete", Resource: "pods", Namespace: p.Namespace, Name: p.Name})
	}
	for _, p := range ask {
		out = append(out, Right{Verb: "create", Resource: "pods", Subresource: "portforward", Namespace: p.Namespace, Optional: true})
	}
	for _, verb := range []string{"create", "update", "list"} {
		out = append(out, Right{Verb: verb, Resource: "configmaps", Namespace: journalNamespace, Optional: true, Journal: true})
	}
	return out, nil
}

func (r Right) to(verb string) Right {
	r.Verb = verb
	return r
}

func resourceOf(mapper meta.RESTMapper, c fixes.Change) (schema.GroupVersionResource, error) {
	gvk := c.Object().GroupVersionKind()
	if mapper == nil {
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		return plural, nil
	}
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) { // the plan itself defines it
		return resourceOf(nil, c)
	}
	if err != nil {
		return schema.GroupVersionResource{}, fmt.Errorf("finding the API of %s: %w", gvk.Kind, err)
	}
	return mapping.Resource, nil
}

// Missing returns those of the rights without which a plan cannot be carried out and that
// the caller does not have, by asking allowed for each.
func Missing(ctx context.Context, rights []Right, allowed func(context.Context, authorizationv1.ResourceAttributes) (bool, error)) ([]Right, error) {
	var out []Right
	asked := map[Right]bool{}
	for _, r := range rights {
		if r.Optional || asked[r] {
			continue
		}
		asked[r] = true
		yes, err := allowed(ctx, authorizationv1.ResourceAttributes{
			Verb: r.Verb, Group: r.Group, Resource: r.Resource, Subresource: r.Subresource, Namespace: r.Namespace, Name: r.Name,
		})
		if err != nil {
			return nil, fmt.Errorf("asking whether %s of %s is allowed: %w", r.Verb, r.Resource, err)
		}
		if !yes {
			out = append(out, r)
		}
	}
	return out, nil
}

// RulesIn turns rights into rules by namespace, "" for what is in none, each named object
// by its name.
func RulesIn(rights []Right) map[string][]rbacv1.PolicyRule {
	type of struct{ namespace, group, resource, name string }
	verbs := map[of][]string{}
	for _, r := range rights {
		key := of{r.Namespace, r.Group, r.Resource, r.Name}
		if r.Subresource != "" {
			key.resource += "/" + r.Subresource
		}
		if !slices.Contains(verbs[key], r.Verb) {
			verbs[key] = append(verbs[key], r.Verb)
		}
	}
	var keys []of
	for key, list := range verbs {
		slices.Sort(list)
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b of) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.group, b.group), cmp.Compare(a.resource, b.resource), cmp.Compare(a.name, b.name))
	})
	out := map[string][]rbacv1.PolicyRule{}
	for _, key := range keys {
		rules := out[key.namespace]
		if n := len(rules) - 1; n >= 0 && key.name != "" && alike(rules[n], key.group, key.resource, verbs[key]) {
			rules[n].ResourceNames = append(rules[n].ResourceNames, key.name)
			continue
		}
		rule := rbacv1.PolicyRule{APIGroups: []string{key.group}, Resources: []string{key.resource}, Verbs: verbs[key]}
		if key.name != "" {
			rule.ResourceNames = []string{key.name}
		}
		out[key.namespace] = append(rules, rule)
	}
	return out
}

// alike tells whether a rule for named objects takes one more name.
func alike(r rbacv1.PolicyRule, group, resource string, verbs []string) bool {
	return len(r.ResourceNames) > 0 && r.APIGroups[0] == group && r.Resources[0] == resource && slices.Equal(r.Verbs, verbs)
}
