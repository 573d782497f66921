package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
)

// HomeRules returns what a user must be allowed in the namespace that an administrator has
// made, cleanup included.
func HomeRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create", "delete", "list"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"create", "delete", "list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list"}},
	}
}

// NamespaceRules returns what a user must be allowed for that namespace itself.
func NamespaceRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"namespaces"}, ResourceNames: []string{Namespace}, Verbs: []string{"get"}}}
}

// allowed asks the API server whether the user may do all that a run takes, before
// anything is made. What it says is the reason why nothing was looked at.
func (r *run) allowed(ctx context.Context) error {
	var lacking []string
	for _, right := range r.needed(ctx) {
		may, err := r.may(ctx, right)
		if err != nil {
			return err
		}
		if !may {
			lacking = append(lacking, words(right))
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	slices.Sort(lacking)
	return fmt.Errorf("forbidden: you may not %s; kubectl netdoctor rbac --depth %s prints what it takes", strings.Join(lacking, ", "), r.opts.Depth)
}

func (r *run) may(ctx context.Context, right authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right}}
	answer, err := r.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("asking what is allowed: %w", err)
	}
	return answer.Status.Allowed, nil
}

// needed are the rights without which a run cannot do its work, or not take back what it
// made.
func (r *run) needed(ctx context.Context) []authorizationv1.ResourceAttributes {
	var out []authorizationv1.ResourceAttributes
	for _, rule := range HomeRules() {
		for _, verb := range rule.Verbs {
			resource, sub, _ := strings.Cut(rule.Resources[0], "/")
			if resource == "events" || resource == "services" || resource == "jobs" && verb == "list" {
				continue // for a reason, for one check, and for cleanup: a run goes without
			}
			out = append(out, authorizationv1.ResourceAttributes{Namespace: Namespace, Verb: verb, Group: rule.APIGroups[0], Resource: resource, Subresource: sub})
		}
	}
	if ns, err := r.client.CoreV1().Namespaces().Get(ctx, Namespace, metav1.GetOptions{}); err != nil || ns.Annotations[Keep] != "true" {
		out = append(out, authorizationv1.ResourceAttributes{Verb: "create", Resource: "namespaces"},
			authorizationv1.ResourceAttributes{Verb: "delete", Resource: "namespaces", Name: Namespace},
			authorizationv1.ResourceAttributes{Namespace: Namespace, Verb: "create", Resource: "serviceaccounts"})
	}
	if namespace, name, found := strings.Cut(r.opts.PullSecret, "/"); found {
		out = append(out, authorizationv1.ResourceAttributes{Namespace: namespace, Name: name, Verb: "get", Resource: "secrets"},
			authorizationv1.ResourceAttributes{Namespace: Namespace, Verb: "create", Resource: "secrets"},
			authorizationv1.ResourceAttributes{Namespace: Namespace, Verb: "delete", Resource: "secrets"})
	}
	return out
}

// words say what a right is for: "create jobs in namespace kubectl-netdoctor".
func words(right authorizationv1.ResourceAttributes) string {
	out := right.Verb + " " + right.Resource
	if right.Subresource != "" {
		out += "/" + right.Subresource
	}
	if right.Namespace != "" {
		out += " in namespace " + right.Namespace
	}
	return out
}

// reason says in a few words why something failed.
func reason(err error) string { return gather.Reason(err) }
