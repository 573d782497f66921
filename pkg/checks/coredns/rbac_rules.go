package coredns

import (
	"regexp"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// forbidden matches the API server's refusal as the client libraries of all versions
// log it, with quotes that a structured log escapes.
var forbidden = regexp.MustCompile(`\S+ is forbidden: User \\*"system:serviceaccount:([^:"]+):([^:"\\]+)\\*" cannot (?:list|watch) resource`)

// forbiddenTold returns the last refusal in the current log of each of the account's
// servers.
func forbiddenTold(s *facts.Snapshot, a *account) []checks.Evidence {
	var out []checks.Evidence
	for _, v := range servers(s) {
		if !slices.Contains(a.pods, v.pod) {
			continue
		}
		var last *said
		for _, w := range v.words(s) {
			if m := forbidden.FindStringSubmatch(w.text); m != nil && w.which == "log" && m[1] == a.Namespace && m[2] == a.Name {
				last = &w
			}
		}
		if last != nil {
			out = append(out, v.quote(*last))
		}
	}
	return out
}

// rolesKnown tells whether all roles for the whole cluster were read.
func rolesKnown(s *facts.Snapshot) bool {
	return s.Missing(facts.ClusterRoles) == "" && s.Missing(facts.ClusterRoleBindings) == ""
}

// inForce tells whether RBAC decides in this cluster: the API server makes its own roles
// only then (k8s.io/kubernetes pkg/registry/rbac/rest/storage_rbac.go). A refusal in the log
// says as much.
func inForce(s *facts.Snapshot) bool {
	return slices.ContainsFunc(s.ClusterRoles, func(r *rbacv1.ClusterRole) bool {
		return r.Labels["kubernetes.io/bootstrapping"] == "rbac-defaults"
	})
}

// right is something that CoreDNS lists and watches; any of its resources will do.
type right struct{ anyOf []resource }

type resource struct{ group, name string }

func (r resource) String() string { return strings.TrimSuffix(r.name+"."+r.group, ".") }

// lackingRights returns what the account's servers read and may not.
func lackingRights(s *facts.Snapshot, a *account) []resource {
	granted := rules(s, a)
	var out []resource
	for _, r := range wanted(s, a) {
		if !slices.ContainsFunc(r.anyOf, func(x resource) bool { return allows(granted, "list", x) && allows(granted, "watch", x) }) {
			out = append(out, r.anyOf[0])
		}
	}
	return out
}

// wanted says what the kubernetes plugin reads (coredns plugin/kubernetes/controller.go).
// It is nothing where the Corefile has no such plugin, or one with other credentials.
func wanted(s *facts.Snapshot, a *account) []right {
	services, namespaces, pods := resource{"", "services"}, resource{"", "namespaces"}, resource{"", "pods"}
	slice, endpoints := resource{"discovery.k8s.io", "endpointslices"}, resource{"", "endpoints"}
	if slices.ContainsFunc(a.images, legacy) {
		return []right{{[]resource{services}}, {[]resource{endpoints, slice}}}
	}
	out := []right{{[]resource{services}}, {[]resource{namespaces}}}
	plugin, known := kubernetesPlugin(s, a)
	switch {
	case known && plugin == nil:
		return nil
	case plugin != nil && (plugin.Find("endpoint") != nil || plugin.Find("kubeconfig") != nil):
		return nil
	case plugin == nil || plugin.Find("noendpoints") == nil:
		r := right{[]resource{slice}}
		if !slices.ContainsFunc(a.images, func(image string) bool { return reached(version(image), "1.8.3") }) {
			r.anyOf = append(r.anyOf, endpoints) // older, or a version that the tag does not tell
		}
		out = append(out, r)
	}
	if plugin != nil && slices.ContainsFunc(plugin.Find("pods"), func(o *corefile.Directive) bool { return slices.Equal(o.Args, []string{"verified"}) }) {
		out = append(out, right{[]resource{pods}})
	}
	return out
}

// legacy tells the image of kube-dns, the server before CoreDNS, which GKE still runs.
func legacy(image string) bool {
	return strings.Contains(image, "kube-dns") || strings.Contains(image, "kubedns")
}

// kubernetesPlugin returns the plugin's part of the Corefile that the account's pods
// mount. known tells that the whole Corefile was seen.
func kubernetesPlugin(s *facts.Snapshot, a *account) (plugin *corefile.Directive, known bool) {
	for _, p := range a.pods {
		_, text := configOf(s, p)
		file, err := corefile.Parse(text)
		if text == "" || err != nil {
			continue
		}
		known = len(file.Imports) == 0
		for _, b := range file.Blocks {
			for _, d := range b.Find("kubernetes") {
				return d, known
			}
		}
	}
	return nil, known
}

// rules returns what ClusterRoles grant to the account everywhere, under whatever name.
func rules(s *facts.Snapshot, a *account) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, b := range s.ClusterRoleBindings {
		if slices.ContainsFunc(b.Subjects, func(sub rbacv1.Subject) bool { return a.named(sub) || a.member(sub) }) {
			for _, r := range s.ClusterRoles {
				if b.RoleRef.Kind == "ClusterRole" && b.RoleRef.Name == r.Name {
					out = append(out, r.Rules...)
				}
			}
		}
	}
	return out
}

// named tells whether a subject is the account itself.
func (a *account) named(sub rbacv1.Subject) bool {
	switch sub.Kind {
	case rbacv1.ServiceAccountKind:
		return sub.Namespace == a.Namespace && sub.Name == a.Name
	case rbacv1.UserKind:
		return sub.Name == "system:serviceaccount:"+a.Namespace+":"+a.Name
	}
	return false
}

// member tells whether a subject is a group that the account belongs to.
func (a *account) member(sub rbacv1.Subject) bool {
	return sub.Kind == rbacv1.GroupKind && slices.Contains([]string{"system:serviceaccounts",
		"system:serviceaccounts:" + a.Namespace, "system:authenticated"}, sub.Name)
}

func allows(granted []rbacv1.PolicyRule, verb string, r resource) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return slices.ContainsFunc(granted, func(rule rbacv1.PolicyRule) bool {
		return len(rule.ResourceNames) == 0 && has(rule.Verbs, verb) && has(rule.APIGroups, r.group) && has(rule.Resources, r.name)
	})
}

// bound quotes which roles the account is given by name.
func bound(s *facts.Snapshot, a *account) checks.Evidence {
	var out []string
	for _, b := range s.ClusterRoleBindings {
		if !slices.ContainsFunc(b.Subjects, a.named) {
			continue
		}
		known := slices.ContainsFunc(s.ClusterRoles, func(r *rbacv1.ClusterRole) bool { return r.Name == b.RoleRef.Name })
		text := "ClusterRoleBinding " + b.Name + " gives it " + b.RoleRef.Kind + " " + b.RoleRef.Name
		if !known {
			text += ", which does not exist"
		}
		out = append(out, text)
	}
	if len(out) == 0 {
		return checks.Quote("ClusterRoleBindings", "none names "+a.String())
	}
	return checks.Quote("ClusterRoleBindings", strings.Join(out, "; "))
}
