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

// HomeRules returns what a user must be allowed in the namespace.
func HomeRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{account}, Verbs: []string{"delete"}},
		{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create", "deletecollection"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list"}},
	}
}

// NamespaceRules returns what a user must be allowed for the namespace itself, unless an
// administrator has made it with the annotation Keep. RBAC cannot name what is created.
func NamespaceRules(kept bool) []rbacv1.PolicyRule {
	named := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, ResourceNames: []string{Namespace}, Verbs: []string{"get"}}
	if kept {
		return []rbacv1.PolicyRule{named}
	}
	named.Verbs = []string{"delete", "get"}
	return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"create"}}, named}
}

// allowed asks the API server whether the user may do all that a run takes, before
// anything is made. What it says is the reason why nothing was looked at.
func (r *run) allowed(ctx context.Context) error {
	var lacking []string
	for _, rule := range HomeRules() {
		for _, verb := range rule.Verbs {
			resource, sub, _ := strings.Cut(rule.Resources[0], "/")
			if verb == "deletecollection" || resource == "events" || verb == "delete" {
				continue // for a namespace that stays, and for a reason: a run goes without
			}
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: Namespace, Verb: verb, Group: rule.APIGroups[0], Resource: resource, Subresource: sub,
				},
			}}
			answer, err := r.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("asking what is allowed: %w", err)
			}
			if !answer.Status.Allowed {
				lacking = append(lacking, verb+" "+rule.Resources[0])
			}
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	slices.Sort(lacking)
	return fmt.Errorf("forbidden: you may not %s in namespace %s; kubectl netdoctor rbac --depth %s prints what it takes", strings.Join(lacking, ", "), Namespace, r.opts.Depth)
}

// reason says in a few words why something failed.
func reason(err error) string { return gather.Reason(err) }
