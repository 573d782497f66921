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
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
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
	for _, rule := range HomeRules() {
		for _, verb := range rule.Verbs {
			resource, sub, _ := strings.Cut(rule.Resources[0], "/")
			if resource == "events" || resource == "jobs" && verb != "create" {
				continue // for a reason, for a namespace that stays, for cleanup: a run goes without
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
