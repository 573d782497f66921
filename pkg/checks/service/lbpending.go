package service

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// lbPatience is how long a load balancer may take to be made.
const lbPatience = 5 * time.Minute

// LBPending finds Services of type LoadBalancer that nobody has given a load balancer.
var LBPending = &checks.Check{
	ID:       "service-lb-pending",
	Title:    "Every Service of type LoadBalancer has an address outside",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer",
	Needs:    []*facts.Source{facts.Services},
	MayUse:   []*facts.Source{facts.Events},
	ByHand:   []string{"kubectl -n NAMESPACE get service SERVICE", "kubectl -n NAMESPACE describe service SERVICE"},
	Run:      findLBPending,
	Doc: `Kubernetes makes no load balancer itself: a controller of the cloud or of the cluster does, and writes its address into the
Service's status. Until then EXTERNAL-IP is <pending> and clients outside have no address; inside, and by its node port, the Service works.

**How it comes about**: no such controller is installed, as in clusters on bare machines, kind and minikube; it has no address left or no
right to make one, and says so in an event; spec.loadBalancerClass names a controller that is not there.

Services younger than 5 minutes are left out, and those with externalIPs, which people reach by these.

**Cure**: read the events of the Service. Where there are none, install a controller (the cloud provider's, or MetalLB, kube-vip, Cilium's
LB IPAM), or make it type NodePort or ClusterIP if no load balancer is meant.`,
}

// other are reasons of events about Services that do not come from a controller of load
// balancers (k8s.io/kubernetes: the controllers of endpoints, and the API server).
var other = regexp.MustCompile(`^(FailedTo(Create|Update|Delete)Endpoint|ClusterIP|Port(NotAllocated|AlreadyAllocated|OutOfRange))`)

func findLBPending(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range s.Services {
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer || svc.DeletionTimestamp != nil || len(svc.Status.LoadBalancer.Ingress) > 0 ||
			len(svc.Spec.ExternalIPs) > 0 || s.Taken.Sub(svc.CreationTimestamp.Time) < lbPatience {
			continue
		}
		out = append(out, pending(s, svc))
	}
	return out
}

func pending(s *facts.Snapshot, svc *corev1.Service) checks.Finding {
	f := checks.Finding{
		Subject:  facts.ServiceRef(svc),
		Message:  "is still without a load balancer: no controller has answered for it",
		Evidence: []checks.Evidence{checks.Quote(facts.ServiceRef(svc).String()+", status.loadBalancer", "ingress: none")},
		Remedy:   "Install a controller that makes load balancers (the cloud provider's, or one such as MetalLB), or change its type to NodePort or ClusterIP if none is meant.",
	}
	if class := svc.Spec.LoadBalancerClass; class != nil {
		f.Message = fmt.Sprintf("is still without a load balancer: no controller has answered for its class %s", *class)
		f.Remedy = fmt.Sprintf("Look whether the controller of loadBalancerClass %s runs; the class cannot be changed, only the Service made anew.", *class)
	}
	if e := s.LastWarning(facts.ServiceRef(svc)); e != nil && !other.MatchString(e.Reason) {
		f.Message = "is still without a load balancer: its controller cannot make one"
		f.Evidence = append(f.Evidence, checks.Quote(facts.ServiceRef(svc).String()+", event "+e.Reason, strings.TrimSpace(e.Message)))
		f.Remedy = "Cure what the event says; the controller tries again by itself."
	}
	return f
}
