package fixes

import (
	"errors"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/kubeproxy"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// KubeProxyCRB binds kube-proxy's ServiceAccount to the role that the API server has for it.
var KubeProxyCRB = &Fix{
	ID:     "kubeproxy-crb",
	Title:  "Bind kube-proxy's ServiceAccount to the ClusterRole system:node-proxier",
	For:    []*checks.Check{kubeproxy.RBAC},
	Risk:   Harmless,
	Settle: proxySettles,
	Plan:   planKubeProxyCRB,
	Doc: `Creates the ClusterRoleBinding kubeadm:node-proxier as kubeadm writes it, or adds the ServiceAccount kube-system/kube-proxy to its
subjects where the binding is there without it. It gives no right beyond kubeadm's own manifest: the role is the API server's
system:node-proxier, and is left as it is. Nothing is restarted; kube-proxy asks again by itself, within a minute.

It is refused where kube-proxy runs under another ServiceAccount (binding that one might give rights to other pods), where the binding leads to
another role, which the API server lets nobody change, and where the role itself lacks what kube-proxy needs or holds more than the API server
gives it. "kubectl netdoctor undo" deletes the binding again, or takes the subject out.`,
}

func planKubeProxyCRB(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if want := kubeProxyAccount(); f.Subject != want {
		return Plan{}, fmt.Errorf("kube-proxy runs under %s, and kubeadm's binding is for %s; set serviceAccountName: %s in the DaemonSet, or bind the other one by hand", f.Subject, want, want.Name)
	}
	if err := ownRole(s); err != nil {
		return Plan{}, err
	}
	if s.Missing(facts.ServiceAccounts) == "" && !hasAccount(s) {
		return Plan{}, fmt.Errorf("%s does not exist; kubeadm init phase addon kube-proxy makes it, on a control-plane node", f.Subject)
	}
	binding := nodeProxierBinding()
	i := slices.IndexFunc(s.ClusterRoleBindings, func(b *rbacv1.ClusterRoleBinding) bool { return b.Name == binding.Name })
	if i < 0 {
		change, err := changeOf("ClusterRoleBinding", rbacv1.SchemeGroupVersion.String(), nil, binding)
		return Plan{Changes: []Change{change}}, err
	}
	there := s.ClusterRoleBindings[i]
	if there.RoleRef.Kind != "ClusterRole" || there.RoleRef.Name != kubeproxy.NodeProxier {
		return Plan{}, fmt.Errorf("ClusterRoleBinding %s leads to %s %s, and the role of a binding cannot be changed: delete it, then repeat this", there.Name, there.RoleRef.Kind, there.RoleRef.Name)
	}
	edited := there.DeepCopy()
	edited.Subjects = append(edited.Subjects, binding.Subjects...)
	change, err := changeOf("ClusterRoleBinding", rbacv1.SchemeGroupVersion.String(), there, edited)
	return Plan{Changes: []Change{change}}, err
}

// kubeProxyAccount is the ServiceAccount of kubeadm's kube-proxy.
func kubeProxyAccount() facts.Ref {
	return facts.Ref{Kind: facts.ServiceAccounts.Kind, Namespace: metav1.NamespaceSystem, Name: "kube-proxy"}
}

func hasAccount(s *facts.Snapshot) bool {
	for _, a := range s.ServiceAccounts {
		if want := kubeProxyAccount(); a.Namespace == want.Namespace && a.Name == want.Name {
			return true
		}
	}
	return false
}

// nodeProxierBinding is kubeadm's (k8s.io/kubernetes cmd/kubeadm/app/phases/addons/proxy).
func nodeProxierBinding() *rbacv1.ClusterRoleBinding {
	account := kubeProxyAccount()
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "kubeadm:node-proxier"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: kubeproxy.NodeProxier},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account.Name, Namespace: account.Namespace}},
	}
}

// ownRole tells why the API server's role for kube-proxy is not the one that it makes.
func ownRole(s *facts.Snapshot) error {
	i := slices.IndexFunc(s.ClusterRoles, func(r *rbacv1.ClusterRole) bool { return r.Name == kubeproxy.NodeProxier })
	if i < 0 {
		return fmt.Errorf("ClusterRole %s does not exist; the API server makes it when it starts", kubeproxy.NodeProxier)
	}
	role := s.ClusterRoles[i]
	if lacks := kubeproxy.Lacks(role.Rules); len(lacks) > 0 {
		return fmt.Errorf("ClusterRole %s itself lacks the right to list and watch %v; the API server puts it right when it starts, unless its annotation %s says false",
			role.Name, lacks, rbacv1.AutoUpdateAnnotationKey)
	}
	for _, r := range role.Rules {
		if !upstreamRule(r) {
			return errors.New("ClusterRole " + role.Name + " holds more than the API server gives it; look at what was added before you bind it")
		}
	}
	return nil
}

// upstreamRule tells whether a rule is among those of the API server's role
// (k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy).
func upstreamRule(r rbacv1.PolicyRule) bool {
	reads := []string{"get", "list", "watch"}
	known := map[string][]string{"services": reads, "endpoints": reads, "nodes": reads, "endpointslices": reads, "servicecidrs": reads,
		"events": {"create", "patch", "update"}}
	groups := []string{"", "discovery.k8s.io", "networking.k8s.io", "events.k8s.io"}
	for _, resource := range r.Resources {
		verbs, found := known[resource]
		if !found || slices.ContainsFunc(r.Verbs, func(v string) bool { return !slices.Contains(verbs, v) }) {
			return false
		}
	}
	return len(r.NonResourceURLs) == 0 && !slices.ContainsFunc(r.APIGroups, func(g string) bool { return !slices.Contains(groups, g) })
}
