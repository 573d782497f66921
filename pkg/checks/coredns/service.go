package coredns

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ServiceMissing finds clusters whose DNS server no Service stands in front of.
var ServiceMissing = &checks.Check{
	ID:       "dns-service-missing",
	Title:    "A Service holds the address that pods ask for names",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#is-dns-service-up",
	Needs:    []*facts.Source{facts.SystemPods, facts.SystemServices},
	MayUse:   []*facts.Source{facts.Configz, facts.Nodes},
	When:     outside,
	Explains: []*checks.Check{symptom.DNSDown, symptom.DNSProbeCluster},
	ByHand: []string{"kubectl -n kube-system get services -l k8s-app=kube-dns",
		`kubectl get --raw "/api/v1/nodes/NODE/proxy/configz"`},
	Run: findServiceMissing,
	Doc: `The kubelet writes one address into every pod's resolv.conf (` + "`clusterDNS`" + ` in its configuration, the tenth
of the Service range with kubeadm). The DNS Service, called kube-dns nearly everywhere even with CoreDNS behind it, must hold
that address. Without the Service the servers run and are Ready, and no question reaches them.

It was deleted, or made again without its address: a new Service gets another one, which no pod asks.

Cure: make it again with ` + "`clusterIP`" + ` set to the kubelets' clusterDNS, the selector of the CoreDNS pods and port 53 for
UDP and TCP; with kubeadm, ` + "`kubeadm init phase addon coredns`" + `. Where Helm or an add-on owns it, let that do it.`,
}

func findServiceMissing(s *facts.Snapshot) []checks.Finding {
	pods := s.DNSPods()
	if len(pods) == 0 || len(s.DNSServices()) > 0 {
		return nil
	}
	given := slices.DeleteFunc(handedOut(s), func(ip string) bool { return strings.HasPrefix(ip, "169.254.") })
	others := inFront(s, pods)
	if len(given) == 0 && (len(others) > 0 || len(s.Configz) > 0) {
		return nil // one of them may be it, or pods ask a cache on their node
	}
	f := checks.Finding{
		Subject:  facts.ClusterDNS(),
		Message:  "has no Service: nothing passes the pods' questions on to CoreDNS",
		Evidence: []checks.Evidence{checks.Quote("Services of kube-system", "none is labelled k8s-app=kube-dns")},
		Remedy:   "Make the DNS Service again with the selector of the CoreDNS pods, port 53 for UDP and TCP, and clusterIP set to the clusterDNS of the kubelets.",
	}
	if len(given) > 0 {
		ips := strings.Join(given, ", ")
		f.Message = "has no Service: none holds " + ips + ", which the kubelets hand out to pods"
		f.Remedy = "Make the DNS Service again with clusterIP " + given[0] + ", the selector of the CoreDNS pods, and port 53 for UDP and TCP."
		f.Evidence = append(f.Evidence, checks.Quote("kubelet configz clusterDNS", ips))
	}
	for _, svc := range others {
		f.Evidence = append(f.Evidence, checks.Quote(facts.ServiceRef(svc).String(), "stands before the same pods, at "+svc.Spec.ClusterIP))
	}
	return []checks.Finding{f}
}

// inFront returns the Services that pass port 53 on to DNS pods.
func inFront(s *facts.Snapshot, pods []*facts.Pod) []*corev1.Service {
	var out []*corev1.Service
	for _, svc := range s.Services {
		selects := func(p *facts.Pod) bool {
			return svc.Namespace == p.Namespace && len(svc.Spec.Selector) > 0 && facts.Matches(svc.Spec.Selector, p.Labels)
		}
		if len(facts.ClusterIPs(svc)) > 0 && facts.ServesDNS(svc) && slices.ContainsFunc(pods, selects) && !strings.HasSuffix(svc.Name, "-upstream") {
			out = append(out, svc)
		}
	}
	return out
}

// askedServices returns the DNS Services, without those that only publish metrics:
// charts give them the same labels.
func askedServices(s *facts.Snapshot) []*corev1.Service {
	all := s.DNSServices()
	asked := slices.DeleteFunc(slices.Clone(all), func(svc *corev1.Service) bool { return !facts.ServesDNS(svc) })
	if len(asked) == 0 {
		return all
	}
	return asked
}
