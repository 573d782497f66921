package fixes_test

import (
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixtest"
)

type marks = map[string]string

func TestOwner(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name          string
		labels, notes marks
		refs          []metav1.OwnerReference
		aks           bool
		want          string // the owner's name; "" for none
		reverts       bool
		where         string // part of it
	}{
		{name: "nobody"},
		{name: "kubeadm", labels: marks{"k8s-app": "kube-dns"}},
		{name: "Helm", labels: marks{"app.kubernetes.io/managed-by": "Helm"}, want: "Helm", where: "helm upgrade"},
		{name: "Helm with its release", notes: marks{"meta.helm.sh/release-name": "dns", "meta.helm.sh/release-namespace": "infra"},
			want: "Helm release dns in infra", where: "values"},
		{name: "managed by something else", labels: marks{"app.kubernetes.io/managed-by": "kubectl"}},
		{name: "Argo CD by annotation", notes: marks{"argocd.argoproj.io/tracking-id": "a:/ConfigMap:kube-system/coredns"},
			want: "Argo CD", reverts: true, where: "repository"},
		{name: "Argo CD by label", labels: marks{"argocd.argoproj.io/instance": "dns"}, want: "Argo CD", reverts: true, where: "repository"},
		{name: "Argo CD with a chart", labels: marks{"app.kubernetes.io/managed-by": "Helm"},
			notes: marks{"meta.helm.sh/release-name": "dns", "argocd.argoproj.io/tracking-id": "x"}, want: "Argo CD", reverts: true, where: "repository"},
		{name: "Flux Kustomization", labels: marks{"kustomize.toolkit.fluxcd.io/name": "infra"},
			want: "Flux Kustomization infra", reverts: true, where: "repository"},
		{name: "Flux HelmRelease", labels: marks{"app.kubernetes.io/managed-by": "Helm", "helm.toolkit.fluxcd.io/name": "coredns"},
			notes: marks{"meta.helm.sh/release-name": "coredns"}, want: "Flux HelmRelease coredns", reverts: true, where: "HelmRelease"},
		{name: "add-on manager", labels: marks{"addonmanager.kubernetes.io/mode": "Reconcile"},
			want: "the add-on manager", reverts: true, where: "/etc/kubernetes/addons"},
		{name: "add-on manager that only creates", labels: marks{"addonmanager.kubernetes.io/mode": "EnsureExists"}},
		{name: "k3s", notes: marks{"objectset.rio.cattle.io/owner-name": "coredns", "objectset.rio.cattle.io/id": ""},
			want: "the deploy controller of k3s or RKE2", reverts: true, where: "coredns-custom"},
		{name: "RKE2", labels: marks{"app.kubernetes.io/managed-by": "Helm"},
			notes: marks{"meta.helm.sh/release-name": "rke2-coredns", "meta.helm.sh/release-namespace": "kube-system"},
			want:  "Helm release rke2-coredns in kube-system", where: "HelmChartConfig rke2-coredns"},
		{name: "OpenShift", labels: marks{"dns.operator.openshift.io/owning-dns": "default"},
			want: "the DNS operator of OpenShift", reverts: true, where: "dns.operator/default"},
		{name: "operator by reference", refs: []metav1.OwnerReference{{APIVersion: "operator.example.org/v1", Kind: "DNS", Name: "main", Controller: &yes}},
			want: "the operator behind DNS main", reverts: true, where: "that resource"},
		{name: "reference that does not control", refs: []metav1.OwnerReference{{APIVersion: "operator.example.org/v1", Kind: "DNS", Name: "main", Controller: &no}}},
		{name: "EKS", labels: marks{"eks.amazonaws.com/component": "coredns"}, want: "the EKS add-on", where: "configuration"},
		{name: "AKS", aks: true, labels: marks{"addonmanager.kubernetes.io/mode": "Reconcile"}, want: "AKS", reverts: true, where: "coredns-custom"},
		{name: "AKS with a chart", aks: true, labels: marks{"app.kubernetes.io/managed-by": "Helm"}, want: "AKS", reverts: true, where: "coredns-custom"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := marked(t, tt.labels, tt.notes, tt.refs, tt.aks)
			plan, err := offer(t, s, fixes.Params{Upstreams: []string{"10.0.0.2"}})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if plan.Owner != nil {
					t.Errorf("got owner %+v, want none", plan.Owner)
				}
				return
			}
			if plan.Owner == nil {
				t.Fatalf("got no owner, want %s", tt.want)
			}
			if got, want := []any{plan.Owner.Name, plan.Owner.Reverts}, []any{tt.want, tt.reverts}; !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if !strings.Contains(plan.Owner.Where, tt.where) {
				t.Errorf("got %q, want it to name %q", plan.Owner.Where, tt.where)
			}
		})
	}
}

// marked returns the cluster with a loop, its ConfigMap bearing the marks of an owner.
func marked(t *testing.T, labels, notes marks, refs []metav1.OwnerReference, aks bool) *facts.Snapshot {
	t.Helper()
	s := fixtest.Load(t, "testdata/upstream-flags.txtar")
	cm := s.ConfigMap("kube-system", "coredns")
	cm.Labels, cm.Annotations, cm.OwnerReferences = labels, notes, refs
	if aks {
		s.Nodes[0].Spec.ProviderID = "azure:///subscriptions/s/resourceGroups/g"
		s.Nodes[0].Labels["kubernetes.azure.com/cluster"] = "MC_g"
	}
	return s
}

// AKS keeps what it installed, into kube-system or with its marks, not what its users did or
// the API server, and not the ConfigMap that it tells them to use.
func TestOwnerAKS(t *testing.T) {
	s := marked(t, nil, nil, nil, true)
	addon, bootstrap := marks{"addonmanager.kubernetes.io/mode": "Reconcile"}, marks{"kubernetes.io/bootstrapping": "rbac-defaults"}
	tests := []struct {
		kind, namespace, name string
		labels                marks
		want, where           string
	}{
		{"ConfigMap", "kube-system", "coredns", nil, "AKS", "use the ConfigMap coredns-custom"},
		{"Deployment", "kube-system", "coredns", nil, "AKS", "use the ConfigMap coredns-custom"},
		{"ConfigMap", "kube-system", "coredns-custom", nil, "", ""},
		{"Service", "shop", "till", nil, "", ""},
		{"ConfigMap", "shop", "coredns", nil, "", ""},
		{"ClusterRole", "", "system:coredns", addon, "AKS", "only Microsoft's support can change it so that it lasts"},
		{"Namespace", "", "gatekeeper-system", marks{"kubernetes.azure.com/managedby": "aks"}, "AKS", "only Microsoft's support can change it so that it lasts"},
		{"ClusterRole", "", "system:node-proxier", bootstrap, "", ""},
		{"ClusterRoleBinding", "", "till", nil, "", ""},
	}
	for _, tt := range tests {
		o := unstructuredConfigMap(nil)
		o.SetKind(tt.kind)
		o.SetNamespace(tt.namespace)
		o.SetName(tt.name)
		o.SetLabels(tt.labels)
		fix := &fixes.Fix{ID: "one", For: fixes.CorefileForward.For, Plan: planOf([]fixes.Change{{After: o}})}
		plan, err := fixes.Offer(s, fix, checks.Finding{Check: fix.For[0]}, fixes.Params{})
		if err != nil {
			t.Fatal(err)
		}
		got := fixes.Owner{}
		if plan.Owner != nil {
			got = *plan.Owner
		}
		if want := (fixes.Owner{Name: tt.want, Where: tt.where, Reverts: tt.want != ""}); got != want {
			t.Errorf("%+v: got owner %+v", tt, got)
		}
	}
}

func TestOwnerThatRevertsIsNotHidden(t *testing.T) {
	object := func(notes map[string]any) fixes.Change {
		return fixes.Change{After: unstructuredConfigMap(notes)}
	}
	helm := object(map[string]any{"meta.helm.sh/release-name": "dns"})
	argo := object(map[string]any{"argocd.argoproj.io/tracking-id": "x"})
	for _, changes := range [][]fixes.Change{{helm, argo}, {argo, helm}} {
		fix := &fixes.Fix{ID: "two", For: fixes.CorefileForward.For, Plan: planOf(changes)}
		s := fixtest.Load(t, "testdata/upstream-flags.txtar")
		plan, err := fixes.Offer(s, fix, findingOf(s), fixes.Params{})
		if err != nil {
			t.Fatal(err)
		}
		if plan.Owner == nil || plan.Owner.Name != "Argo CD" {
			t.Errorf("got owner %+v, want Argo CD", plan.Owner)
		}
	}
}

// What kubeadm installs its next upgrade writes anew, the Corefile apart.
func TestOwnerKubeadm(t *testing.T) {
	s := fixtest.Load(t, "testdata/coredns-memory.txtar") // has kubeadm's ConfigMap
	for kind, want := range map[string]string{"Deployment": "kubeadm", "ConfigMap": ""} {
		o := unstructuredConfigMap(nil)
		o.SetKind(kind)
		o.SetName("coredns")
		fix := &fixes.Fix{ID: "one", For: fixes.CorefileForward.For, Plan: planOf([]fixes.Change{{After: o}})}
		plan, err := fixes.Offer(s, fix, checks.Finding{Check: fix.For[0]}, fixes.Params{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if plan.Owner != nil {
			got = plan.Owner.Name
		}
		if got != want || plan.Owner != nil && plan.Owner.Reverts {
			t.Errorf("%s: got owner %+v, want %q, which reverts nothing by itself", kind, plan.Owner, want)
		}
	}
}
