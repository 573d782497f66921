package symptom

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/tries"
)

// ownName begins the name of the cluster for which pods ask; any other lies outside.
const ownName = "kubernetes.default.svc."

// reply is what came of the questions to one address.
type reply int

// The replies, the gravest first. Zero is an answer.
const (
	silent reply = iota + 1
	noUDP
	wrong
	noTCP
)

// asked is what the pod of one node asked cluster DNS for a name of the cluster.
type asked struct {
	node    string
	service []facts.Try
	pods    map[*facts.Pod][]facts.Try
}

// askedBy returns it for each node that asked anything. Pods that are not Ready, or go, need
// not answer: why they are so is asked elsewhere.
func askedBy(s *facts.Snapshot) []asked {
	byIP := map[netip.Addr]*facts.Pod{}
	for _, p := range s.DNSPods() {
		for _, text := range p.IPs() {
			if ip, err := netip.ParseAddr(text); err == nil && p.Ready && !p.Deleting {
				byIP[ip.Unmap()] = p
			}
		}
	}
	var out []asked
	for _, node := range tries.Nodes(s) {
		a := asked{node: node, service: own(tries.From(s, node, facts.TargetDNSService)), pods: map[*facts.Pod][]facts.Try{}}
		for _, t := range own(tries.From(s, node, facts.TargetDNSPod)) {
			host, _, _ := net.SplitHostPort(t.To)
			ip, err := netip.ParseAddr(host)
			if p := byIP[ip.Unmap()]; err == nil && p != nil {
				a.pods[p] = append(a.pods[p], t)
			}
		}
		if len(a.service)+len(a.pods) > 0 {
			out = append(out, a)
		}
	}
	return out
}

func own(list []facts.Try) []facts.Try {
	return slices.DeleteFunc(list, func(t facts.Try) bool { return !strings.HasPrefix(t.Name, ownName) })
}

// judge tells what came of the questions to one server, over UDP and TCP. nx tells whether
// the name is certain to exist.
func judge(list []facts.Try, nx bool) reply {
	var udp, tcp facts.Try
	for _, t := range list {
		switch {
		case t.Kind == facts.TryDNSUDP && !udp.Dead():
			udp = t
		case t.Kind == facts.TryDNSTCP && !tcp.Dead():
			tcp = t
		}
	}
	switch {
	case udp.Sent+tcp.Sent == 0:
		return 0
	case (udp.Dead() || udp.Sent == 0) && (tcp.Dead() || tcp.Sent == 0):
		return silent
	case udp.Dead():
		return noUDP
	case amiss(udp, nx) || amiss(tcp, nx):
		return wrong
	case tcp.Dead():
		return noTCP
	}
	return 0
}

// amiss tells whether an answer is not the one that a name which exists has.
func amiss(t facts.Try, nx bool) bool {
	return t.Rcode != "" && t.Rcode != "NOERROR" && (t.Rcode != "NXDOMAIN" || nx)
}

// certain tells whether the name that was asked for exists: the kubelets say what the
// cluster's domain is. Where nobody was asked, it was a guess.
func certain(s *facts.Snapshot) bool {
	for _, t := range s.Tries {
		domain, found := strings.CutPrefix(t.Name, ownName)
		if !found {
			continue
		}
		for _, k := range s.Configz {
			if k != nil && k.ClusterDomain != "" && strings.TrimSuffix(k.ClusterDomain, ".") == strings.TrimSuffix(domain, ".") {
				return true
			}
		}
	}
	return false
}

func unasked(s *facts.Snapshot, node string) string {
	if len(own(tries.From(s, node, facts.TargetDNSService))) == 0 {
		return "it did not ask the DNS Service"
	}
	return ""
}
