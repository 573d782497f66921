package fixes

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// maxNameservers is how many of a resolv.conf a resolver uses (MAXNS of resolv.h; the
// kubelet cuts the list to as many).
const maxNameservers = 3

var errNoUpstream = errors.New("which DNS servers should CoreDNS ask? Name them with --upstream IP (repeatable, IP:port for another port than 53)")

// realResolvers are the files in which nodes keep the servers behind a local stub:
// those of systemd-resolved and NetworkManager.
func realResolvers() []string {
	return []string{"/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf", "/run/NetworkManager/resolv.conf"}
}

// upstreams returns the DNS servers that the user named, or else those that the
// resolver files of the nodes name. It never makes one up. Port 0 stands for 53.
func upstreams(s *facts.Snapshot, f checks.Finding, params Params) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	for _, u := range params.Upstreams {
		server, err := parseUpstream(s, u)
		if err != nil {
			return nil, fmt.Errorf("--upstream %s: %w", u, err)
		}
		out = append(out, server)
	}
	if len(out) > 0 {
		return out, nil
	}
	for _, node := range nodesOf(s, f) {
		if found := nodeServers(s, s.Files[node]); len(found) > 0 {
			return found, nil
		}
	}
	return nil, errNoUpstream
}

func parseUpstream(s *facts.Snapshot, u string) (netip.AddrPort, error) {
	var server netip.AddrPort
	if addr, err := netip.ParseAddr(strings.Trim(u, "[]")); err == nil {
		server = netip.AddrPortFrom(addr.Unmap(), 0)
	} else if server, err = netip.ParseAddrPort(u); err != nil || server.Port() == 0 {
		return server, errors.New("not an IP address, nor one with a port (10.0.0.2, 10.0.0.2:5353, [2001:db8::1]:53)")
	}
	return server, unfit(s, server.Addr().Unmap())
}

// unfit says why CoreDNS cannot be told to ask an address, or nil.
func unfit(s *facts.Snapshot, addr netip.Addr) error {
	switch {
	case addr.IsLoopback():
		return errors.New("inside the pod a loopback address is CoreDNS itself; name a server that pods can reach")
	case addr.IsUnspecified(), addr.IsMulticast(), addr.Zone() != "", addr.Is6() && addr.IsLinkLocalUnicast():
		return errors.New("not the address of a server that pods can reach")
	}
	if whose := ownAddress(s, addr); whose != "" {
		return fmt.Errorf("that is %s, which would close the loop again", whose)
	}
	return nil
}

// ownAddress says what of the cluster's DNS has an address, or "".
func ownAddress(s *facts.Snapshot, addr netip.Addr) string {
	same := func(ip string) bool { return facts.SameIP(ip, addr.String()) }
	for _, svc := range s.DNSServices() {
		if slices.ContainsFunc(facts.ClusterIPs(svc), same) {
			return "the cluster's own DNS Service"
		}
	}
	for _, p := range s.DNSPods() {
		if slices.ContainsFunc(p.IPs(), same) && !p.HostNetwork {
			return "a pod of CoreDNS itself"
		}
	}
	return ""
}

// nodesOf returns the nodes that run the finding's pods first, then all others.
func nodesOf(s *facts.Snapshot, f checks.Finding) []string {
	var out []string
	for _, p := range podsOf(s, f) {
		if p.Node != "" {
			out = append(out, p.Node)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(s.Files)) {
		if !slices.Contains(out, node) {
			out = append(out, node)
		}
	}
	return out
}

func nodeServers(s *facts.Snapshot, files map[string]string) []netip.AddrPort {
	for _, path := range realResolvers() {
		if found := nameservers(s, files[path]); len(found) > 0 {
			return found
		}
	}
	return nil
}

// nameservers returns the servers of a resolv.conf that CoreDNS can ask.
func nameservers(s *facts.Snapshot, text string) []netip.AddrPort {
	var out []netip.AddrPort
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" || len(out) == maxNameservers {
			continue
		}
		addr, err := netip.ParseAddr(words[1])
		addr = addr.Unmap()
		server := netip.AddrPortFrom(addr, 0)
		if err == nil && unfit(s, addr) == nil && !slices.Contains(out, server) {
			out = append(out, server)
		}
	}
	return out
}
