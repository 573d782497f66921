package facts

import (
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// dnsLabel is what every usual installation of cluster DNS carries: kubeadm, kube-up,
// RKE2, k3s, EKS, AKS and GKE.
const dnsLabel = "k8s-app"

// dnsImage matches the image of a cluster DNS server; node-local-dns is a cache in
// front of one and does not count.
var dnsImage = regexp.MustCompile(`(^|/)([a-z0-9.-]*-)?coredns(:|@|$)|k8s-dns-kube-dns|(^|/)kubedns`)

// systemNamespaces are the namespaces in which cluster DNS and kube-proxy live.
func (s *Snapshot) systemNamespaces() []string { return []string{"kube-system", "openshift-dns"} }

// SystemNamespaces lists the namespaces that hold the network stack itself, network
// plugins included. ConfigMaps are read from these alone.
func SystemNamespaces() []string {
	return []string{"kube-system", "kube-flannel", "calico-system", "tigera-operator", "calico-apiserver",
		"cilium", "openshift-dns", "openshift-ovn-kubernetes", "ovn-kubernetes", "kube-router", "antrea-system", "weave"}
}

// PartNamespaces lists the namespaces that a part of a source comes from: the system
// namespaces; of Services also default, where that of the API server stands, whose
// address tells the range of all.
func PartNamespaces(part *Source) []string {
	if part.Whole == Services {
		return append(SystemNamespaces(), metav1.NamespaceDefault)
	}
	return SystemNamespaces()
}

// PartsSuffice tells whether the parts of sources that lie in the system namespaces hold
// what they are read for: a DNS server. Where it runs elsewhere, or nowhere, only all
// namespaces tell.
func (s *Snapshot) PartsSuffice() bool { return len(s.DNSPods()) > 0 }

// DNSServices returns the Services that clients' resolvers point at: those of the
// system namespaces that are labelled as cluster DNS, or that listen for DNS at the
// address which a kubelet hands out. The upstream Service of NodeLocal DNSCache carries
// the same label and is left out, as are headless ones.
func (s *Snapshot) DNSServices() []*corev1.Service {
	given := s.clusterDNS()
	var out []*corev1.Service
	for _, svc := range s.Services {
		if svc.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		if s.labelledDNS(svc) || ServesDNS(svc) && slices.ContainsFunc(ClusterIPs(svc), func(ip string) bool { return given[ip] }) {
			out = append(out, svc)
		}
	}
	return out
}

func (s *Snapshot) labelledDNS(svc *corev1.Service) bool {
	if svc.Namespace == "openshift-dns" {
		return svc.Labels["dns.operator.openshift.io/owning-dns"] != ""
	}
	if svc.Namespace != "kube-system" || strings.HasSuffix(svc.Name, "-upstream") {
		return false
	}
	// The chart of CoreDNS labels its Service k8s-app=coredns.
	name := svc.Labels["kubernetes.io/name"]
	return svc.Labels[dnsLabel] == "kube-dns" && name != "KubeDNSUpstream" || name == "CoreDNS" && svc.Labels["kubernetes.io/cluster-service"] == "true"
}

func (s *Snapshot) clusterDNS() map[string]bool {
	out := map[string]bool{}
	for _, k := range s.Configz {
		for _, ip := range k.ClusterDNS {
			out[ip] = true
		}
	}
	return out
}

// DNSPods returns the pods of the cluster's DNS server, whatever their labels: a wrong
// label is one of the faults to find.
func (s *Snapshot) DNSPods() []*Pod {
	var out []*Pod
	for _, ns := range s.systemNamespaces() {
		for _, p := range s.PodsIn(ns) {
			if !p.Finished() && slices.ContainsFunc(p.Containers, p.RunsDNS) {
				out = append(out, p)
			}
		}
	}
	return out
}

// DNSImage tells whether an image is that of a cluster DNS server.
func DNSImage(image string) bool {
	return strings.Contains(image, "dns") && dnsImage.MatchString(image) // the first spares 150,000 pods the second
}

// openshiftDNS labels the pods of OpenShift's DNS operator, whose images are named by a
// digest alone.
const openshiftDNS = "dns.operator.openshift.io/daemonset-dns"

// RunsDNS tells whether a container of the pod is a cluster DNS server.
func (p *Pod) RunsDNS(c Container) bool {
	return DNSImage(c.Image) || c.Name == "dns" && p.Labels[openshiftDNS] != ""
}

// DNSDeployments returns the Deployments that run the cluster's DNS server.
func (s *Snapshot) DNSDeployments() []*appsv1.Deployment {
	var out []*appsv1.Deployment
	for _, d := range s.Deployments {
		if slices.Contains(s.systemNamespaces(), d.Namespace) && runsDNS(&d.Spec.Template.Spec) {
			out = append(out, d)
		}
	}
	return out
}

// DNSDaemonSets returns the DaemonSets that run it, as OpenShift does.
func (s *Snapshot) DNSDaemonSets() []*appsv1.DaemonSet {
	var out []*appsv1.DaemonSet
	for _, d := range s.DaemonSets {
		if d.Namespace == "openshift-dns" && strings.HasPrefix(d.Name, "dns-") ||
			slices.Contains(s.systemNamespaces(), d.Namespace) && runsDNS(&d.Spec.Template.Spec) {
			out = append(out, d)
		}
	}
	return out
}

func runsDNS(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return DNSImage(c.Image) })
}

// Corefile returns the ConfigMap that holds CoreDNS's configuration and its text, or
// nil. The key is Corefile, under whatever name a pod mounts it.
func (s *Snapshot) Corefile() (*corev1.ConfigMap, string) {
	for _, ns := range s.systemNamespaces() {
		for _, cm := range s.ConfigMaps {
			if text, ok := cm.Data["Corefile"]; ok && cm.Namespace == ns && !strings.Contains(cm.Name, "node-local") {
				return cm, text
			}
		}
	}
	return nil, ""
}

// SystemNamespace tells whether a namespace belongs to the network stack's own.
func SystemNamespace(name string) bool { return slices.Contains(SystemNamespaces(), name) }

// ClusterIPs returns the addresses of a Service, one or two; none for headless ones.
func ClusterIPs(svc *corev1.Service) []string {
	if svc.Spec.ClusterIP == "" || svc.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	if len(svc.Spec.ClusterIPs) == 0 {
		return []string{svc.Spec.ClusterIP}
	}
	return svc.Spec.ClusterIPs
}
