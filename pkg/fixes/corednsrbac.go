package fixes

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// dnsRole is what kubeadm and kube-up call the ClusterRole of CoreDNS and its binding.
const dnsRole = "system:coredns"

// rbacV1 is the version of the objects of RBAC.
const rbacV1 = "rbac.authorization.k8s.io/v1"

// CoreDNSRBAC gives CoreDNS back the rights that it reads the cluster with.
var CoreDNSRBAC = &Fix{
	ID:    "coredns-rbac-restore",
	Title: "Give CoreDNS back its ServiceAccount and its rights to list and watch",
	For:   []*checks.Check{coredns.RBAC},
	Risk:  Restarts,
	Plan:  planCoreDNSRBAC,
	Doc: `Makes what is missing of the ServiceAccount, the ClusterRole system:coredns and its ClusterRoleBinding, as kubeadm has
them: list and watch on endpoints, services, pods and namespaces, and on endpointslices of discovery.k8s.io. Where the role is
there and lacks a resource, that resource alone is added; where the binding names another ServiceAccount, CoreDNS's is added to
it. Nothing is taken away, and no right goes beyond that manifest. The pods ask again by themselves; only after the
ServiceAccount was made anew are they restarted, one after another, since their tokens are of the one before.

It is refused where a chart, an operator or an add-on made the objects and they are gone (their installer would stumble over
foreign ones), where the role is put together from others or shared, and where a binding of that name leads to another role,
which cannot be changed. An add-on manager or a chart whose role has fewer rules takes them back.`,
}

func planCoreDNSRBAC(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	for _, src := range []*facts.Source{facts.SystemServiceAccounts, facts.ClusterRoles, facts.ClusterRoleBindings} {
		if why := s.Missing(src); why != "" {
			return Plan{}, fmt.Errorf("what is missing is not known, since %s could not be read: %s", src, why)
		}
	}
	noAccount, resources := coredns.Lacks(s, f.Subject)
	r := rights{s: s, account: f.Subject, lacks: resources}
	var plan Plan
	if noAccount {
		if err := r.makeAccount(&plan); err != nil {
			return Plan{}, err
		}
	}
	if len(resources) > 0 {
		if err := r.grant(&plan); err != nil {
			return Plan{}, err
		}
	}
	if len(plan.Changes) == 0 {
		return Plan{}, fmt.Errorf("%s has its rights by now", f.Subject)
	}
	if len(plan.Rollouts) == 0 {
		plan.Rollouts = workloads(s, f)
	}
	return plan, nil
}

// rights are those of one ServiceAccount.
type rights struct {
	s       *facts.Snapshot
	account facts.Ref
	lacks   []schema.GroupResource // what it may not list and watch
}

// makeAccount plans to make the ServiceAccount, and its pods anew: tokens name the UID of the
// account that they were made for (k8s.io/kubernetes pkg/serviceaccount, Validate).
func (r rights) makeAccount(plan *Plan) error {
	if r.account.Name == "default" {
		return fmt.Errorf("%s is gone, which kube-controller-manager makes in every namespace: see whether that runs", r.account)
	}
	if err := r.foreign("ServiceAccount " + r.account.Name); err != nil {
		return err
	}
	made := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.account.Namespace, Name: r.account.Name}}
	if err := plan.add("ServiceAccount", "v1", nil, made); err != nil {
		return err
	}
	for _, d := range r.deployments() {
		edited := d.DeepCopy()
		restart(r.s, &edited.Spec.Template)
		if err := plan.add("Deployment", "apps/v1", d, edited); err != nil {
			return err
		}
		plan.Rollouts = append(plan.Rollouts, facts.Ref{Kind: "Deployment", Namespace: d.Namespace, Name: d.Name})
	}
	if len(plan.Rollouts) == 0 {
		plan.Manual = append(plan.Manual, fmt.Sprintf("Restart what runs under ServiceAccount %s: tokens of the one before are refused.", r.account.Key()))
	}
	return nil
}

// add appends a change to a plan; before may be nil.
func (p *Plan) add(kind, apiVersion string, before, after metav1.Object) error {
	change, err := changeOf(kind, apiVersion, before, after)
	if err != nil {
		return err
	}
	p.Changes = append(p.Changes, change)
	return nil
}

// deployments returns the Deployments of CoreDNS that run under the account.
func (r rights) deployments() []*appsv1.Deployment {
	return slices.DeleteFunc(r.s.DNSDeployments(), func(d *appsv1.Deployment) bool {
		return d.Namespace != r.account.Namespace || d.Spec.Template.Spec.ServiceAccountName != r.account.Name
	})
}

// foreign says who made CoreDNS here, where that is somebody who makes its rights, too, and
// would not know an object that is made in their place.
func (r rights) foreign(what string) error {
	for _, d := range r.deployments() {
		o, err := object("Deployment", "apps/v1", d)
		if err != nil {
			return err
		}
		if owner := ownerOf(r.s, o); owner != nil {
			return fmt.Errorf("%s is gone, and %s keeps what CoreDNS is made of: let that make it again", what, owner.Name)
		}
	}
	if len(r.deployments()) == 0 {
		return fmt.Errorf("%s is gone, and no Deployment here runs under the account: let the installer of CoreDNS make it again", what)
	}
	return nil
}

// grant plans what gives the account what it lacks.
func (r rights) grant(plan *Plan) error {
	names := func(b *rbacv1.ClusterRoleBinding) bool {
		return slices.ContainsFunc(b.Subjects, func(sub rbacv1.Subject) bool { return coredns.Names(sub, r.account) })
	}
	var roles []string
	for _, b := range r.s.ClusterRoleBindings {
		if names(b) && b.RoleRef.Kind == "ClusterRole" && !slices.Contains(roles, b.RoleRef.Name) {
			roles = append(roles, b.RoleRef.Name)
		}
	}
	switch {
	case slices.Contains(roles, dnsRole):
		return r.widen(plan, dnsRole)
	case len(roles) == 1:
		return r.widen(plan, roles[0])
	case len(roles) > 1:
		return fmt.Errorf("%s is bound to several ClusterRoles (%s); which of them is that of CoreDNS only you can say: add list and watch on %s to it",
			r.account, strings.Join(roles, ", "), words(r.lacks))
	}
	if role := r.role(dnsRole); role == nil || len(r.without(role)) > 0 {
		if err := r.widen(plan, dnsRole); err != nil { // first: who may not bind roles at will may bind only one that is there
			return err
		}
	}
	return r.bind(plan)
}

// bind plans that the binding of CoreDNS names the account.
func (r rights) bind(plan *Plan) error {
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: r.account.Namespace, Name: r.account.Name}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: dnsRole}
	i := slices.IndexFunc(r.s.ClusterRoleBindings, func(b *rbacv1.ClusterRoleBinding) bool { return b.Name == dnsRole })
	if i < 0 {
		if err := r.foreign("its ClusterRoleBinding"); err != nil {
			return err
		}
		made := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: dnsRole}, RoleRef: ref, Subjects: []rbacv1.Subject{subject}}
		return plan.add("ClusterRoleBinding", rbacV1, nil, made)
	}
	b := r.s.ClusterRoleBindings[i]
	if b.RoleRef != ref {
		return fmt.Errorf("ClusterRoleBinding %s leads to %s %s, and where it leads to cannot be changed: look what it is for, delete it (kubectl delete clusterrolebinding %s), and repeat this",
			b.Name, b.RoleRef.Kind, b.RoleRef.Name, dnsRole)
	}
	edited := b.DeepCopy()
	edited.Subjects = append(edited.Subjects, subject)
	return plan.add("ClusterRoleBinding", rbacV1, b, edited)
}

func (r rights) role(name string) *rbacv1.ClusterRole {
	i := slices.IndexFunc(r.s.ClusterRoles, func(role *rbacv1.ClusterRole) bool { return role.Name == name })
	if i < 0 {
		return nil
	}
	return r.s.ClusterRoles[i]
}

// widen plans that a role allows what the account lacks, or that it is there again.
func (r rights) widen(plan *Plan, name string) error {
	role := r.role(name)
	if role == nil {
		return r.makeRole(plan, name)
	}
	if role.AggregationRule != nil {
		return fmt.Errorf("ClusterRole %s is put together from others by their labels; add list and watch on %s to one of those", name, words(r.lacks))
	}
	if shared := r.shared(name); shared != "" && name != dnsRole {
		return fmt.Errorf("ClusterRole %s is bound to %s as well, who would get the rights with it; give %s a role of its own", name, shared, r.account)
	}
	edited := role.DeepCopy()
	edited.Rules = append(edited.Rules, rulesFor(r.without(role))...)
	return plan.add("ClusterRole", rbacV1, role, edited)
}

func (r rights) makeRole(plan *Plan, name string) error {
	if name != dnsRole {
		return fmt.Errorf("ClusterRole %s, which is bound to %s, does not exist: let the chart or add-on that it came from make it again", name, r.account)
	}
	if err := r.foreign("ClusterRole " + name); err != nil {
		return err
	}
	return plan.add("ClusterRole", rbacV1, nil, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rulesFor(upstreamRights())})
}

// shared names somebody else whom a role is bound to, or returns "".
func (r rights) shared(name string) string {
	for _, b := range r.s.ClusterRoleBindings {
		for _, sub := range b.Subjects {
			if b.RoleRef.Kind == "ClusterRole" && b.RoleRef.Name == name && !coredns.Names(sub, r.account) {
				return sub.Kind + " " + sub.Name
			}
		}
	}
	return ""
}

// without returns what of that which the account lacks a role does not allow.
func (r rights) without(role *rbacv1.ClusterRole) []schema.GroupResource {
	return slices.DeleteFunc(slices.Clone(r.lacks), func(x schema.GroupResource) bool {
		return coredns.Allows(role.Rules, x)
	})
}

// upstreamRights is what kubeadm lets CoreDNS list and watch (k8s.io/kubernetes
// cmd/kubeadm/app/phases/addons/dns/manifests.go).
func upstreamRights() []schema.GroupResource {
	return []schema.GroupResource{{Resource: "endpoints"}, {Resource: "services"}, {Resource: "pods"}, {Resource: "namespaces"},
		{Group: "discovery.k8s.io", Resource: "endpointslices"}}
}

// rulesFor allows to list and watch, with a rule for each API group.
func rulesFor(resources []schema.GroupResource) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, x := range resources {
		i := slices.IndexFunc(out, func(rule rbacv1.PolicyRule) bool { return rule.APIGroups[0] == x.Group })
		if i < 0 {
			i = len(out)
			out = append(out, rbacv1.PolicyRule{Verbs: []string{"list", "watch"}, APIGroups: []string{x.Group}})
		}
		out[i].Resources = append(out[i].Resources, x.Resource)
	}
	return out
}

func words(resources []schema.GroupResource) string {
	var out []string
	for _, x := range resources {
		out = append(out, x.String())
	}
	return strings.Join(out, ", ")
}
