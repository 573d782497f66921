package kubeproxy

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// RBAC finds kube-proxy without the right to read Services, endpoints and nodes.
var RBAC = &checks.Check{
	ID:       "kube-proxy-rbac",
	Title:    "kube-proxy may read Services, endpoints and nodes",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles",
	Needs: []*facts.Source{facts.SystemDaemonSets, facts.SystemPods, facts.ConfigMaps, facts.ClusterRoles,
		facts.ClusterRoleBindings},
	MayUse:   []*facts.Source{facts.PodLogs},
	When:     noAccount,
	Explains: []*checks.Check{PodUnhealthy},
	ByHand: []string{"kubectl auth can-i list endpointslices.discovery.k8s.io -A --as=system:serviceaccount:kube-system:kube-proxy",
		"kubectl auth can-i watch nodes --as=system:serviceaccount:kube-system:kube-proxy",
		"kubectl get clusterrolebindings -o wide | grep node-proxier"},
	Run: findRBAC,
	Doc: `kube-proxy lists and watches Services, EndpointSlices and its Node. As kubeadm installs it, it does so with the token of
its ServiceAccount, to which a ClusterRoleBinding (kubeadm:node-proxier) gives the API server's own ClusterRole
system:node-proxier. Without one of these rights it makes no rules when it starts ("is forbidden" in its log); one that
runs already keeps its rules, which grow old as soon as the API server ends its watches, within minutes.

**How it comes about**: the binding was deleted or names another ServiceAccount or namespace; the DaemonSet runs under another
ServiceAccount; the ClusterRole was edited. The API server puts system:node-proxier right when it starts, unless the role's
annotation rbac.authorization.kubernetes.io/autoupdate says false; the binding is kubeadm's, and nobody puts that right.

**Cure**: bind the ClusterRole again, as the finding says, or ` + "`kubeadm init phase addon kube-proxy`" + `. The pods need no
restart.`,
}

// tokenPath is where a pod finds the token of its ServiceAccount.
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// account returns the ServiceAccount as which kube-proxy asks the API server; ok is false
// where it asks as somebody else, or where that is not known.
func (p *proxy) account() (ref facts.Ref, ok bool) {
	k := p.kubeconfig()
	if k == nil || k.tokenFile() != tokenPath || p.spec.ServiceAccountName == "" {
		return facts.Ref{}, false
	}
	return facts.Ref{Kind: "ServiceAccount", Namespace: p.set.Namespace, Name: p.spec.ServiceAccountName}, true
}

// noAccount says why the rights of kube-proxy cannot be told, or "".
func noAccount(s *facts.Snapshot) string {
	if why := noDaemonSet(s); why != "" {
		return why
	}
	// The API server makes its own roles only where it decides by roles
	// (k8s.io/kubernetes pkg/registry/rbac/rest/storage_rbac.go).
	if !slices.ContainsFunc(s.ClusterRoles, func(r *rbacv1.ClusterRole) bool { return r.Labels["kubernetes.io/bootstrapping"] == "rbac-defaults" }) {
		return "the API server does not decide by roles"
	}
	for _, p := range templates(s) {
		if _, ok := p.account(); ok {
			return ""
		}
	}
	return "nothing in the API says that kube-proxy uses the token of its ServiceAccount"
}

// reads is what kube-proxy lists and watches in all modes.
func reads() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}},
		{APIGroups: []string{""}, Resources: []string{"nodes"}},
	}
}

func findRBAC(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, p := range proxies(s) {
		ref, ok := p.account()
		if !ok {
			continue
		}
		if lacking := lacking(s, ref); len(lacking) > 0 {
			out = append(out, p.unlawful(ref, lacking)...)
		}
	}
	return once(out)
}

// unlawful reports what a kube-proxy complains of. Where none does, another authorizer may
// let it read, or its watches still last: that is a warning, as long as nothing else ails
// the pods.
func (p *proxy) unlawful(ref facts.Ref, lacking []string) []checks.Finding {
	f := checks.Finding{
		Subject: ref,
		Message: "may not list and watch " + strings.Join(lacking, ", ") + ", which kube-proxy must",
		Remedy: checks.Command("Bind the ClusterRole to it again: kubectl create clusterrolebinding kubeadm:node-proxier --clusterrole=system:node-proxier "+
			"--serviceaccount=%s:%s; where that binding exists, correct its subjects or the role's rules.", ref.Namespace, ref.Name),
		Evidence: []checks.Evidence{grants(p.s, ref)},
	}
	for _, pod := range p.pods {
		said, found := forbidden.persist(p.s, pod, strings.Split(p.log(pod), "\n"))
		if !found {
			continue
		}
		f.Places = append(f.Places, pod.Ref())
		if len(f.Evidence) < 3 {
			f.Evidence = append(f.Evidence, said.Evidence...)
		}
	}
	if len(f.Places) == 0 {
		f.Severity = checks.Warning
		if !p.well() {
			return nil
		}
	}
	return []checks.Finding{f}
}

// lacking returns what an account must read and may not. Where a rule is given for single
// names only, it does not count.
func lacking(s *facts.Snapshot, ref facts.Ref) []string {
	var granted []rbacv1.PolicyRule
	for _, r := range s.ClusterRoles {
		if slices.ContainsFunc(s.ClusterRoleBindings, func(b *rbacv1.ClusterRoleBinding) bool {
			return b.RoleRef.Kind == "ClusterRole" && b.RoleRef.Name == r.Name && slices.ContainsFunc(b.Subjects, func(sub rbacv1.Subject) bool { return means(sub, ref) })
		}) {
			granted = append(granted, r.Rules...)
		}
	}
	return lackingOf(granted)
}

// lackingOf returns what kube-proxy must read and rules do not allow.
func lackingOf(granted []rbacv1.PolicyRule) []string {
	var out []string
	for _, want := range reads() {
		for _, verb := range []string{"list", "watch"} {
			if !allowed(granted, verb, want.APIGroups[0], want.Resources[0]) {
				out = append(out, want.Resources[0])
				break
			}
		}
	}
	return out
}

func allowed(granted []rbacv1.PolicyRule, verb, group, resource string) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return slices.ContainsFunc(granted, func(r rbacv1.PolicyRule) bool {
		return len(r.ResourceNames) == 0 && has(r.Verbs, verb) && has(r.APIGroups, group) && has(r.Resources, resource)
	})
}

// means tells whether a subject is an account, or a group that it belongs to.
func means(sub rbacv1.Subject, ref facts.Ref) bool {
	switch sub.Kind {
	case rbacv1.ServiceAccountKind:
		return sub.Namespace == ref.Namespace && sub.Name == ref.Name
	case rbacv1.UserKind:
		return sub.Name == "system:serviceaccount:"+ref.Namespace+":"+ref.Name
	case rbacv1.GroupKind:
		return slices.Contains([]string{"system:serviceaccounts", "system:serviceaccounts:" + ref.Namespace, "system:authenticated"}, sub.Name)
	}
	return false
}

// grants quotes which roles an account is given by name, and the bindings that give the
// API server's role for kube-proxy to somebody.
func grants(s *facts.Snapshot, ref facts.Ref) checks.Evidence {
	var own, others []string
	for _, b := range s.ClusterRoleBindings {
		text := "ClusterRoleBinding " + b.Name + " gives "
		for _, sub := range b.Subjects {
			switch {
			case sub.Kind != rbacv1.GroupKind && means(sub, ref):
				own = append(own, text+"it "+b.RoleRef.Kind+" "+b.RoleRef.Name)
			case b.RoleRef.Name == nodeProxier && sub.Kind == rbacv1.ServiceAccountKind:
				others = append(others, text+b.RoleRef.Name+" to ServiceAccount "+sub.Namespace+"/"+sub.Name)
			}
		}
	}
	all := append(own, others...)
	if len(own) == 0 {
		all = append([]string{"none names " + ref.String()}, others...)
	}
	return checks.Quote("ClusterRoleBindings", strings.Join(all, "; "))
}

// nodeProxier is the role that the API server makes for kube-proxy
// (k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy).
const nodeProxier = "system:node-proxier"
