package fixes

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Owner is whoever keeps an object the way it is.
type Owner struct {
	Name    string // "Helm release coredns in kube-system"
	Where   string // where to make the change so that it lasts
	Reverts bool   // it takes a change back by itself, soon
}

// ownerOf recognises who would take a change back, from the marks that the owners
// themselves leave on their objects. Who takes it back by himself comes first: Helm's
// marks are on what Argo CD and AKS install, too.
func ownerOf(s *facts.Snapshot, o *unstructured.Unstructured) *Owner {
	labels, notes := o.GetLabels(), o.GetAnnotations()
	if owner := gitops(labels, notes); owner != nil {
		return owner
	}
	if owner := aks(s, o); owner != nil { // runs the add-on manager, which nobody else can reach there
		return owner
	}
	for _, known := range []func(*unstructured.Unstructured, map[string]string, map[string]string) *Owner{
		addonManager, rancher, operator, helm, eks,
	} {
		if owner := known(o, labels, notes); owner != nil {
			return owner
		}
	}
	return kubeadm(s, o)
}

func gitops(labels, notes map[string]string) *Owner {
	switch {
	case notes["argocd.argoproj.io/tracking-id"] != "" || labels["argocd.argoproj.io/instance"] != "":
		return &Owner{"Argo CD", "change it in the repository that Argo CD syncs from", true}
	case labels["kustomize.toolkit.fluxcd.io/name"] != "":
		return &Owner{"Flux Kustomization " + labels["kustomize.toolkit.fluxcd.io/name"], "change it in the repository that Flux syncs from", true}
	case labels["helm.toolkit.fluxcd.io/name"] != "":
		return &Owner{"Flux HelmRelease " + labels["helm.toolkit.fluxcd.io/name"], "change the values of the HelmRelease", true}
	}
	return nil
}

// addonManager: Reconcile is written back periodically, EnsureExists only re-created
// (kubernetes/cluster/addons/addon-manager/README.md).
func addonManager(_ *unstructured.Unstructured, labels, _ map[string]string) *Owner {
	if labels["addonmanager.kubernetes.io/mode"] == "Reconcile" {
		return &Owner{"the add-on manager", "change the manifest in /etc/kubernetes/addons on the control plane", true}
	}
	return nil
}

func rancher(_ *unstructured.Unstructured, _, notes map[string]string) *Owner {
	if notes["objectset.rio.cattle.io/owner-name"] != "" || notes["objectset.rio.cattle.io/id"] != "" {
		return &Owner{"the deploy controller of k3s or RKE2", "use the ConfigMap coredns-custom, or a HelmChartConfig on RKE2", true}
	}
	return nil
}

func operator(o *unstructured.Unstructured, labels, _ map[string]string) *Owner {
	if labels["dns.operator.openshift.io/owning-dns"] != "" {
		return &Owner{"the DNS operator of OpenShift", "edit the resource dns.operator/default", true}
	}
	for _, ref := range o.GetOwnerReferences() {
		if ref.Controller != nil && *ref.Controller && strings.Contains(ref.APIVersion, "operator") {
			return &Owner{"the operator behind " + ref.Kind + " " + ref.Name, "change that resource", true}
		}
	}
	return nil
}

func helm(_ *unstructured.Unstructured, labels, notes map[string]string) *Owner {
	release := notes["meta.helm.sh/release-name"]
	if release == "" && labels["app.kubernetes.io/managed-by"] != "Helm" {
		return nil
	}
	name := "Helm"
	if release != "" {
		name = "Helm release " + release
	}
	if ns := notes["meta.helm.sh/release-namespace"]; release != "" && ns != "" {
		name += " in " + ns
	}
	if strings.HasPrefix(release, "rke2-") {
		return &Owner{name, "set it in a HelmChartConfig " + release + " too, or the next update of RKE2 takes it back", false}
	}
	return &Owner{name, "set it in the values too, or the next helm upgrade takes it back", false}
}

func eks(_ *unstructured.Unstructured, labels, _ map[string]string) *Owner {
	if labels["eks.amazonaws.com/component"] == "" {
		return nil
	}
	return &Owner{"the EKS add-on", "set it in the add-on's configuration too, or its next update takes it back", false}
}

// aks: Microsoft keeps the ConfigMap coredns; own configuration belongs into
// coredns-custom (learn.microsoft.com/azure/aks/coredns-custom), the one object of
// kube-system that is the user's own. What is in no namespace it keeps where it says so
// itself: most of that is the user's, and the ClusterRoles that are named system: are made
// by every API server.
func aks(s *facts.Snapshot, o *unstructured.Unstructured) *Owner {
	kept := o.GetNamespace() == "kube-system" && (o.GetKind() != "ConfigMap" || o.GetName() != "coredns-custom")
	where := "use the ConfigMap coredns-custom"
	if o.GetNamespace() == "" {
		kept, where = markedByAKS(o.GetLabels()), "only Microsoft's support can change it so that it lasts"
	}
	for _, n := range s.Nodes {
		if kept && strings.HasPrefix(n.Spec.ProviderID, "azure://") && n.Labels["kubernetes.azure.com/cluster"] != "" {
			return &Owner{"AKS", where, true}
		}
	}
	return nil
}

// markedByAKS tells the labels of what AKS installs: it runs the add-on manager, which takes
// back whatever bears its label (Azure/AKS#1435), and marks newer parts as its own.
func markedByAKS(labels map[string]string) bool {
	return labels["addonmanager.kubernetes.io/mode"] == "Reconcile" || labels["kubernetes.azure.com/managedby"] == "aks"
}

// kubeadm: an upgrade writes its add-ons anew, the replicas of CoreDNS apart; the ConfigMap
// of kube-proxy is re-written from itself, and of a Corefile only what the next CoreDNS
// refuses is changed (kubernetes/cmd/kubeadm/app/phases/addons).
func kubeadm(s *facts.Snapshot, o *unstructured.Unstructured) *Owner {
	addons := map[string][]string{
		"Deployment": {"coredns"}, "DaemonSet": {"kube-proxy"}, "Service": {"kube-dns"}, "ServiceAccount": {"coredns", "kube-proxy"},
		"ClusterRole": {"system:coredns"}, "ClusterRoleBinding": {"system:coredns", "kubeadm:node-proxier"},
	}
	home := o.GetNamespace() == "kube-system" || o.GetNamespace() == "" && strings.HasPrefix(o.GetKind(), "ClusterRole")
	if s.ConfigMap("kube-system", "kubeadm-config") == nil || !home || !slices.Contains(addons[o.GetKind()], o.GetName()) {
		return nil
	}
	return &Owner{"kubeadm", "kubeadm upgrade apply writes it anew; repeat the change then, or give the Deployment's or DaemonSet's as a patch (kubeadm upgrade apply --patches)", false}
}
