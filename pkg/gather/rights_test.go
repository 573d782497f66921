package gather_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
)

// What a look asks for is what the printed rights allow, and none of them goes unused.
// ConfigMaps that only a pod mounts are the exception: nobody can name them beforehand.
func TestRules(t *testing.T) {
	c := sound("beacon")
	see(t, c, everything())
	used := map[string]bool{}
	for _, asked := range c.asked[1:] {
		if path, _, _ := strings.Cut(asked, "?"); !strings.Contains(path, "/configmaps/beacon-") {
			used[right(path)] = true
		}
	}
	allowed := map[string]bool{}
	for _, rule := range gather.Rules(facts.Sources()) {
		for _, resource := range rule.Resources {
			allow(allowed, rule, resource)
		}
	}
	if d := cmp.Diff(allowed, used); d != "" {
		t.Errorf("rights (-printed +used):\n%s", d)
	}
}

func allow(allowed map[string]bool, rule rbacv1.PolicyRule, resource string) {
	right := rule.Verbs[0] + " " + rule.APIGroups[0] + "/" + resource
	if len(rule.ResourceNames) == 0 {
		allowed[right] = true
	}
	for _, name := range rule.ResourceNames {
		allowed[right+" "+name] = true
	}
}

// right is what the API server's authorizer makes of a path.
func right(path string) string {
	if strings.HasSuffix(path, "/portforward") {
		return "create /pods/portforward"
	}
	for resource, sub := range map[string]string{"pods/log": "/log", "pods/proxy": ":8181/proxy/ready", "nodes/proxy": "/proxy/configz"} {
		if strings.HasSuffix(path, sub) || (strings.HasSuffix(path, ":9153/proxy/metrics") || strings.HasSuffix(path, ":10256/proxy/livez")) && resource == "pods/proxy" {
			return "get /" + resource
		}
	}
	src, _, name := parsePath(path)
	if name != "" {
		return "get " + src.Group + "/" + src.Name + " " + name
	}
	return "list " + src.Group + "/" + src.Name
}
