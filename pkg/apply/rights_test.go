package apply_test

import (
	"context"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/apply"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

func TestRights(t *testing.T) {
	lunch, dinner := configMap("lunch", map[string]any{}), configMap("dinner", map[string]any{})
	p := plan(change(lunch, "us"), change(dinner, "us"), fixes.Change{After: configMap("supper", nil)})
	p.Rollouts = []facts.Ref{{Kind: "DaemonSet", Namespace: "shop", Name: "resolver"}}
	p.Restarts = []*facts.Pod{{Namespace: "shop", Name: "cook-1"}}
	rights, err := apply.Rights(p, mapper(), []*facts.Pod{{Namespace: "shop", Name: "cook-2"}})
	if err != nil {
		t.Fatal(err)
	}
	rule := func(group, resource string, verbs []string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs, ResourceNames: names}
	}
	same(t, "rules", map[string][]rbacv1.PolicyRule{
		"shop": {
			rule("", "configmaps", []string{"create"}),
			rule("", "configmaps", []string{"get", "patch"}, "dinner", "lunch"),
			rule("", "configmaps", []string{"delete", "get"}, "supper"),
			rule("", "pods", []string{"list"}), rule("", "pods", []string{"delete"}, "cook-1"),
			rule("", "pods/portforward", []string{"create"}),
			rule("apps", "daemonsets", []string{"get"}, "resolver"),
		},
		"kube-system": {rule("", "configmaps", []string{"create", "list", "update"})},
	}, apply.RulesIn(rights))

	missing, err := apply.Missing(t.Context(), rights, func(_ context.Context, a authorizationv1.ResourceAttributes) (bool, error) {
		return a.Verb != "delete" && a.Namespace == "shop", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "missing", []apply.Right{
		{Verb: "delete", Resource: "configmaps", Namespace: "shop", Name: "supper"},
		{Verb: "delete", Resource: "pods", Namespace: "shop", Name: "cook-1"},
	}, missing)
}
