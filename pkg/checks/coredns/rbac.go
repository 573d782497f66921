package coredns

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// RBAC finds CoreDNS without the right to read Services and endpoints.
var RBAC = &checks.Check{
	ID:       "coredns-rbac",
	Title:    "CoreDNS may read Services, namespaces and endpoints",
	Severity: checks.Error,
	URL:      "https://github.com/coredns/deployment/blob/master/kubernetes/CoreDNS-k8s_version.md",
	Needs:    []*facts.Source{facts.SystemPods},
	MayUse: []*facts.Source{facts.SystemServiceAccounts, facts.ClusterRoles, facts.ClusterRoleBindings, facts.PodLogs,
		facts.ConfigMaps, facts.SystemDeployments},
	Parts:    rbacParts,
	Explains: []*checks.Check{symptom.PodNotReady, symptom.DNSServiceNoEndpoints, DeploymentMissing, NotSynced, PodAnswers, ServfailRate, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl auth can-i list endpointslices.discovery.k8s.io -A --as=system:serviceaccount:kube-system:coredns",
		"kubectl auth can-i watch services -A --as=system:serviceaccount:kube-system:coredns",
		"kubectl get clusterrole system:coredns -o yaml", "kubectl get clusterrolebinding system:coredns -o yaml"},
	Run: findRBAC,
	Doc: `The kubernetes plugin lists and watches Services, namespaces and EndpointSlices (since CoreDNS 1.8.3; Endpoints
before), and pods where the Corefile says ` + "`pods verified`" + ` or ` + "`autopath @kubernetes`" + `. Without one of these rights it
never becomes ready, or, in some versions, serves without knowing the cluster's names. A process that has read everything
before keeps answering from memory, which grows old.

It comes about by an upgrade of the image alone (the ClusterRole of an old chart or add-on has no rule for EndpointSlices),
by a deleted ServiceAccount, ClusterRole or ClusterRoleBinding, or by a binding that names another ServiceAccount or
namespace.

Cure: let a ClusterRole with ` + "`list`, `watch`" + ` on these resources be bound to the ServiceAccount of the pods; a roleRef
cannot be changed, only deleted and made again. Where Helm, an operator or an add-on owns the role, update that. The pods
need no restart, except after a ServiceAccount was made anew.`,
}

// account is the identity that DNS servers run under.
type account struct {
	facts.Ref
	pods   []*facts.Pod
	images []string
}

// accounts returns the ServiceAccounts of the DNS servers, those of Deployments
// included: without the ServiceAccount there are no pods.
func accounts(s *facts.Snapshot) []*account {
	var out []*account
	get := func(namespace, name string) *account {
		if name == "" {
			name = "default"
		}
		ref := facts.Ref{Kind: "ServiceAccount", Namespace: namespace, Name: name}
		i := slices.IndexFunc(out, func(a *account) bool { return a.Ref == ref })
		if i < 0 {
			i = len(out)
			out = append(out, &account{Ref: ref})
		}
		return out[i]
	}
	for _, v := range servers(s) {
		a := get(v.pod.Namespace, v.pod.ServiceAccount)
		a.pods = append(a.pods, v.pod)
		a.images = append(a.images, v.container.Image)
	}
	for _, d := range s.DNSDeployments() {
		if d.Spec.Replicas == nil || *d.Spec.Replicas > 0 {
			a := get(d.Namespace, d.Spec.Template.Spec.ServiceAccountName)
			for _, c := range d.Spec.Template.Spec.Containers {
				if facts.DNSImage(c.Image) {
					a.images = append(a.images, c.Image)
				}
			}
		}
	}
	return out
}

func rbacParts(s *facts.Snapshot) []checks.Part {
	var out []checks.Part
	for _, a := range accounts(s) {
		for _, src := range []*facts.Source{facts.SystemServiceAccounts, facts.ClusterRoles, facts.ClusterRoleBindings} {
			out = append(out, checks.Part{Source: src, Key: a.Key()})
		}
	}
	return out
}

func findRBAC(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, a := range accounts(s) {
		if f, found := judge(s, a); found {
			for _, p := range a.pods {
				f.Places = append(f.Places, p.Ref())
			}
			out = append(out, f)
		}
	}
	return out
}

// judge holds the rights of an account against what its servers read. The log alone
// counts only where the roles are not known: else what it says may be long cured.
func judge(s *facts.Snapshot, a *account) (checks.Finding, bool) {
	quotes := forbiddenTold(s, a)
	sick := slices.ContainsFunc(a.pods, func(p *facts.Pod) bool { return !p.Ready })
	f := checks.Finding{Subject: a.Ref, Evidence: quotes}
	if !sick && len(quotes) == 0 && len(a.pods) > 0 {
		f.Severity = checks.Warning // it still answers from memory
	}
	if s.Missing(facts.SystemServiceAccounts) == "" && !exists(s, a) {
		f.Message = "does not exist, and CoreDNS runs under it"
		f.Evidence = append(f.Evidence, checks.Quote("ServiceAccounts of namespace "+a.Namespace, "none is named "+a.Name))
		f.Remedy = checks.Command("Make the ServiceAccount again, then restart CoreDNS: kubectl -n %s create serviceaccount %s", a.Namespace, a.Name)
		return f, true
	}
	if rolesKnown(s) && (inForce(s) || len(quotes) > 0) {
		var lacking []string
		for _, r := range lackingRights(s, a) {
			lacking = append(lacking, r.String())
		}
		if len(lacking) == 0 {
			return f, false
		}
		f.Message = "may not list and watch " + strings.Join(lacking, ", ")
		f.Evidence = append(f.Evidence, bound(s, a))
		f.Remedy = fmt.Sprintf("Let a ClusterRole that allows list and watch on %s be bound to ServiceAccount %s by a ClusterRoleBinding; kubeadm calls both system:coredns.",
			strings.Join(lacking, ", "), a.Key())
		return f, true
	}
	if !sick || len(quotes) == 0 {
		return f, false
	}
	f.Message = "is forbidden to read what CoreDNS needs"
	f.Remedy = "Compare the ClusterRole that is bound to it with what the log says is forbidden."
	return f, true
}

// Lacks returns what the ServiceAccount of a finding of RBAC is without: itself, or what it
// may not list and watch.
func Lacks(s *facts.Snapshot, ref facts.Ref) (account bool, resources []schema.GroupResource) {
	for _, a := range accounts(s) {
		if a.Ref != ref {
			continue
		}
		account = !exists(s, a)
		if !rolesKnown(s) || !inForce(s) && len(forbiddenTold(s, a)) == 0 {
			continue
		}
		for _, r := range lackingRights(s, a) {
			resources = append(resources, schema.GroupResource{Group: r.group, Resource: r.name})
		}
	}
	return account, resources
}

// Allows tells whether rules allow to list and watch a resource.
func Allows(rules []rbacv1.PolicyRule, r schema.GroupResource) bool {
	x := resource{r.Group, r.Resource}
	return allows(rules, "list", x) && allows(rules, "watch", x)
}

// Names tells whether a subject of a binding is a ServiceAccount itself.
func Names(sub rbacv1.Subject, ref facts.Ref) bool { return (&account{Ref: ref}).named(sub) }

func exists(s *facts.Snapshot, a *account) bool {
	for _, sa := range s.ServiceAccounts {
		if sa.Namespace == a.Namespace && sa.Name == a.Name {
			return true
		}
	}
	return false
}
