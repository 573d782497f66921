package fixes

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/coredns"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// dnsServiceName is what every usual installation calls the DNS Service.
const dnsServiceName = "kube-dns"

// DNSServiceRecreate makes the DNS Service again at the address that pods ask.
var DNSServiceRecreate = &Fix{
	ID:     "dns-service-recreate",
	Title:  "Make the DNS Service again at the address that the kubelets hand out",
	For:    []*checks.Check{coredns.ServiceMissing},
	Risk:   Harmless,
	Settle: endpointsSettle,
	Plan:   planDNSServiceRecreate,
	Doc: `Makes Service kube-system/kube-dns as kubeadm makes it: with the labels and annotations of kubeadm's manifest, clusterIP set to the address
that the kubelets write into pods (clusterDNS; both where they hand out one of each family), the labels by which the Deployment of CoreDNS
selects its pods, ports 53/UDP and 53/TCP leading to where CoreDNS listens, and port 9153 where the pods declare it for metrics.

Refused where the kubelets' address is not known or they differ, where another Service has the address or the name, where it lies outside of every
ServiceCIDR, where several workloads serve DNS, and where Helm installed CoreDNS, which takes over no Service that it did not make: the command
that makes it again is named then. That nobody else holds the address is asked of the API server in the dry run.

undo deletes the Service. kubeadm upgrade keeps it.`,
}

func planDNSServiceRecreate(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	ips, err := dnsAddresses(s)
	if err != nil {
		return Plan{}, err
	}
	w, err := dnsWorkloadIn(s, metav1.NamespaceSystem)
	if err != nil {
		return Plan{}, err
	}
	warning, err := installer(s, w)
	if err != nil {
		return Plan{}, err
	}
	if svc := s.Service(metav1.NamespaceSystem, dnsServiceName); svc != nil {
		return Plan{}, fmt.Errorf("there is a Service kube-system/kube-dns at %s, and the address of a Service cannot be changed: once nobody needs it there, "+
			"kubectl -n kube-system delete service kube-dns, then repeat", svc.Spec.ClusterIP)
	}
	ports, err := dnsPorts(s, w)
	if err != nil {
		return Plan{}, err
	}
	change, err := changeOf("Service", "v1", nil, newDNSService(ips, w, ports))
	plan := Plan{Changes: []Change{change}}
	if warning != "" {
		plan.Warnings = []string{warning}
	}
	return plan, err
}

// dnsAddresses returns the addresses that the Service must have, one or one of each family.
func dnsAddresses(s *facts.Snapshot) ([]string, error) {
	if len(s.Configz) == 0 {
		why := s.Missing(facts.Configz)
		if why == "" {
			why = "no kubelet answered"
		}
		return nil, fmt.Errorf("which address the kubelets hand out is not known (%s); repeat with --depth logs and the right to get nodes/proxy", why)
	}
	given := coredns.HandedOut(s)
	families := map[bool]string{}
	for _, ip := range given {
		a, err := netip.ParseAddr(ip)
		if err != nil {
			return nil, fmt.Errorf("the kubelets hand out %q, which is no address", ip)
		}
		if other := families[a.Is4()]; other != "" {
			return nil, fmt.Errorf("the kubelets hand out several addresses (%s), and which is the Service's is not known: give them all the same clusterDNS first", strings.Join(given, ", "))
		}
		families[a.Is4()] = ip
		if err := addressFree(s, a); err != nil {
			return nil, err
		}
	}
	if len(given) == 0 {
		return nil, errors.New("the kubelets hand out no address of a Service, so there is none that this one must have")
	}
	return given, nil
}

// addressFree says why a Service cannot have an address, or nil.
func addressFree(s *facts.Snapshot, a netip.Addr) error {
	for _, svc := range s.Services {
		if slices.ContainsFunc(facts.ClusterIPs(svc), func(ip string) bool { return facts.SameIP(ip, a.String()) }) {
			return fmt.Errorf("%s, which the kubelets hand out, is the address of %s", a, facts.ServiceRef(svc))
		}
	}
	var ranges []string
	for _, c := range s.ServiceCIDRs {
		ranges = append(ranges, c.Spec.CIDRs...)
	}
	within := func(text string) bool {
		p, err := netip.ParsePrefix(text)
		return err == nil && p.Contains(a)
	}
	if len(ranges) > 0 && !slices.ContainsFunc(ranges, within) {
		return fmt.Errorf("%s, which the kubelets hand out, lies outside of the Services' ranges (%s): correct clusterDNS of the kubelets", a, strings.Join(ranges, ", "))
	}
	return nil
}

// installer says by which command Helm makes the Service again, or who else should have
// done so by now. Helm does not take over what it did not make; the others do.
func installer(s *facts.Snapshot, w dnsWorkload) (warning string, err error) {
	owner := ownerOf(s, w.object)
	if owner == nil {
		return "", nil
	}
	labels, notes := w.object.GetLabels(), w.object.GetAnnotations()
	release, ns := notes["meta.helm.sh/release-name"], notes["meta.helm.sh/release-namespace"]
	switch {
	case release != "" && ns != "" && !owner.Reverts:
		return "", fmt.Errorf("%s installs CoreDNS and its Service, and takes over none that it did not make; make it again by what it holds: helm -n %s get manifest %s | kubectl -n %[2]s apply -f -",
			owner.Name, checks.ShellWord(ns), checks.ShellWord(release))
	case release != "" || labels["app.kubernetes.io/managed-by"] == "Helm":
		return "", fmt.Errorf("%s installs CoreDNS and its Service by Helm, which takes over none that it did not make: let it install its release again", owner.Name)
	}
	return owner.Name + " keeps CoreDNS and should have made its Service again by now: look whether it runs. It takes this one over.", nil
}

// dnsPorts returns the ports of kubeadm's Service.
func dnsPorts(s *facts.Snapshot, w dnsWorkload) ([]corev1.ServicePort, error) {
	out := []corev1.ServicePort{{Name: "dns", Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", Protocol: corev1.ProtocolTCP}}
	for i := range out {
		to, err := coredns.ServedPort(s, w.pods, out[i].Protocol)
		if err != nil {
			return nil, err
		}
		out[i].Port, out[i].TargetPort = 53, intstr.FromInt32(to)
	}
	for _, c := range w.pods[0].Containers {
		for _, p := range c.Ports {
			if p.ContainerPort == 9153 && p.Protocol != corev1.ProtocolUDP && len(out) == 2 {
				out = append(out, corev1.ServicePort{Name: "metrics", Port: 9153, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(9153)})
			}
		}
	}
	return out, nil
}

// newDNSService follows kubeadm's manifest (k8s.io/kubernetes,
// cmd/kubeadm/app/phases/addons/dns/manifests.go).
func newDNSService(ips []string, w dnsWorkload, ports []corev1.ServicePort) *corev1.Service {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceSystem, Name: dnsServiceName,
			Labels:      map[string]string{"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
			Annotations: map[string]string{"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
		},
		Spec: corev1.ServiceSpec{ClusterIP: ips[0], Selector: maps.Clone(w.selector), Ports: ports},
	}
	if len(ips) > 1 {
		svc.Spec.ClusterIPs, svc.Spec.IPFamilyPolicy = ips, ptr.To(corev1.IPFamilyPolicyPreferDualStack)
	}
	return svc
}
