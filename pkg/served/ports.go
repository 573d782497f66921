// Package served tells what pods of CoreDNS serve, as far as their Corefile, what they declare
// and their metrics say it: whoever judges how they answer must know whether they were asked
// where they listen. Everything in it is a pure function of a snapshot.
package served

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/corefile"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Config returns the ConfigMap that holds a pod's Corefile, and the Corefile; nil and "" where
// it is not known. It reads ConfigMaps.
func Config(s *facts.Snapshot, p *facts.Pod) (*corev1.ConfigMap, string) {
	for _, name := range p.ConfigMaps {
		if cm := s.ConfigMap(p.Namespace, name); cm != nil && cm.Data["Corefile"] != "" {
			return cm, cm.Data["Corefile"]
		}
	}
	return nil, ""
}

// Listens returns the ports on which a pod's Corefile serves plain DNS, those alone that serve
// names of the cluster where cluster is set. It is nil where that is not certain: files are
// imported, or a flag or the environment has a say.
func Listens(s *facts.Snapshot, p *facts.Pod, cluster bool) []string {
	_, text := Config(s, p)
	file, err := corefile.Parse(text)
	if err != nil || len(file.Imports) > 0 || strings.ContainsAny(keys(file), "$%") {
		return nil
	}
	for _, c := range p.Containers {
		if slices.ContainsFunc(c.Command, func(arg string) bool {
			return strings.HasPrefix(strings.TrimLeft(arg, "-"), "dns.port") || arg == "-p" || strings.HasPrefix(arg, "-p=")
		}) {
			return nil
		}
	}
	var out []string
	for _, b := range file.Blocks {
		for _, a := range b.Addresses() {
			if cluster && len(b.Find("kubernetes")) == 0 {
				continue
			}
			if a.Transport == "dns" && !slices.Contains(out, a.Port) {
				out = append(out, a.Port)
			}
		}
	}
	return out
}

func keys(file *corefile.File) string {
	var out []string
	for _, b := range file.Blocks {
		out = append(out, b.Keys...)
	}
	return strings.Join(out, " ")
}

// Ports returns the ports on which a pod serves names over a protocol. It goes by the Corefile,
// and only where that leaves it open by the ports that the container declares.
func Ports(s *facts.Snapshot, p *facts.Pod, protocol corev1.Protocol) []int32 {
	var out []int32
	texts := Listens(s, p, true)
	if len(texts) == 0 {
		texts = Listens(s, p, false)
	}
	for _, text := range texts {
		if n, err := strconv.ParseUint(text, 10, 16); err == nil {
			out = append(out, int32(n))
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, c := range p.Containers {
		if !p.RunsDNS(c) {
			continue
		}
		for _, port := range c.Ports {
			udp := slices.ContainsFunc(c.Ports, func(o corev1.ContainerPort) bool {
				return o.Protocol == corev1.ProtocolUDP && o.ContainerPort == port.ContainerPort
			})
			// What is open to TCP alone serves metrics or health.
			if udp && cmp.Or(port.Protocol, corev1.ProtocolTCP) == protocol && !slices.Contains(out, port.ContainerPort) {
				out = append(out, port.ContainerPort)
			}
		}
	}
	return out
}
