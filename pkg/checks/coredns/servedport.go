package coredns

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/served"
)

// Port53 returns the port 53 of a DNS Service for a protocol, or nil, and where it leads
// in vain, or "".
func Port53(s *facts.Snapshot, svc *corev1.Service, protocol corev1.Protocol) (port *corev1.ServicePort, wrong string) {
	port = port53(svc, protocol)
	if port == nil {
		return nil, ""
	}
	return port, wrongTarget(s, svc, port)
}

// ServedPort returns the one port on which all of these pods serve the cluster's names
// over a protocol, or why there is no telling.
func ServedPort(s *facts.Snapshot, pods []*facts.Pod, protocol corev1.Protocol) (int32, error) {
	var found []int32
	for _, p := range pods {
		ports := served.Ports(s, p, protocol)
		if len(ports) != 1 {
			return 0, fmt.Errorf("%s has %s on which it may serve the cluster's names over %s: set the target port by hand", p.Ref(), portCount(ports), protocol)
		}
		found = append(found, ports[0])
	}
	slices.Sort(found)
	switch found = slices.Compact(found); len(found) {
	case 0:
		return 0, errors.New("no pod of CoreDNS is there to tell on which port it listens")
	case 1:
		return found[0], nil
	}
	return 0, fmt.Errorf("the CoreDNS pods differ in the port that they serve names on: %s", portCount(found))
}

func portCount(ports []int32) string {
	if len(ports) == 0 {
		return "no port"
	}
	var texts []string
	for _, p := range ports {
		texts = append(texts, strconv.Itoa(int(p)))
	}
	if len(texts) == 1 {
		return "port " + texts[0]
	}
	return "ports " + strings.Join(texts, ", ")
}

// HandedOut returns the addresses of Services that kubelets write into pods as
// nameservers, each once: those that a cache on the node answers on are left out.
func HandedOut(s *facts.Snapshot) []string {
	listens := s.DNSListeners()
	return slices.DeleteFunc(handedOut(s), listens)
}
