package kubeproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/host"
)

// findRulesStale looks for rules that lead to what no EndpointSlice names.
func findRulesStale(s *facts.Snapshot) []checks.Finding {
	want := wantedFronts(s)
	services := anyFronts(s)
	ends := anyEnds(s)
	var out []checks.Finding
	for _, n := range s.LinuxNodes() {
		set, known := rulesOf(s, n.Name)
		if !known {
			continue
		}
		now := set.current(want)
		var lacks []lack
		other := map[string]bool{}
		for mode, rules := range set {
			for at, list := range rules {
				for _, r := range list {
					dead, svc := deadEnds(r.Endpoints, ends), serviceAt(services, at)
					if len(dead) == 0 || unsettled(s, svc) {
						continue
					}
					if mode != now {
						other[mode] = true
					}
					lacks = append(lacks, lack{svc, fmt.Sprintf("mode %s: the rule for %s/%s leads to %s, which no EndpointSlice names", mode, at.at, at.proto, strings.Join(dead, ", "))})
				}
			}
		}
		if len(lacks) == 0 {
			continue
		}
		slices.SortFunc(lacks, func(a, b lack) int { return strings.Compare(a.svc.Path()+a.what, b.svc.Path()+b.what) })
		out = append(out, staleFinding(s, n.Name, lacks, other, now))
	}
	return out
}

func staleFinding(s *facts.Snapshot, node string, lacks []lack, other map[string]bool, now string) checks.Finding {
	f := checks.Finding{
		Subject: facts.NodeRef(node), Message: "leads traffic of Services to endpoints that are gone", Evidence: quoteLacks(node, lacks),
		Remedy: "Restart kube-proxy there, which writes its rules anew: " + restartOn(s, node) + ".",
	}
	for mode := range other {
		f.Message = fmt.Sprintf("keeps rules of mode %s that lead to endpoints that are gone, beside those of mode %s", mode, now)
		f.Remedy = "Remove what the other mode left: kube-proxy --cleanup on the node, then restart kube-proxy there; or drain and restart the node."
	}
	return f
}

// anyFronts maps what a Service catches to the Service, whatever state that is in.
func anyFronts(s *facts.Snapshot) map[string]facts.Ref {
	out := map[string]facts.Ref{}
	for _, svc := range s.Services {
		ref := facts.Ref{Kind: "Service", Namespace: svc.Namespace, Name: svc.Name}
		for _, ip := range clusterIPs(svc) {
			out[ip] = ref
		}
		for _, p := range svc.Spec.Ports {
			out[fmt.Sprintf("nodeport:%d", p.NodePort)] = ref
		}
	}
	return out
}

// serviceAt names the Service of a front; one that is gone stands by its address.
func serviceAt(services map[string]facts.Ref, at front) facts.Ref {
	if ref, found := services[at.at]; found {
		return ref
	}
	if a, err := netip.ParseAddrPort(at.at); err == nil {
		if ref, found := services[a.Addr().String()]; found {
			return ref
		}
	}
	return facts.Ref{Kind: "Service", Name: at.at}
}

// unsettled tells whether a Service's endpoints changed while the nodes were looked at. One
// that is not known may be new, where any Service is that the snapshot does not have.
func unsettled(s *facts.Snapshot, svc facts.Ref) bool {
	if svc.Namespace != "" {
		return s.Gaps[facts.Files.Name+"/"+host.Changed(svc)] != ""
	}
	prefix := facts.Files.Name + "/" + host.Changed(facts.Ref{})
	for key := range s.Gaps {
		rest, found := strings.CutPrefix(key, strings.TrimSuffix(prefix, "//")+"/")
		namespace, of, _ := strings.Cut(rest, "/")
		if found && s.Service(namespace, of) == nil {
			return true
		}
	}
	return false
}

// anyEnds are all addresses that EndpointSlices name, ready or not: kube-proxy leads to
// terminating endpoints where there are no others.
func anyEnds(s *facts.Snapshot) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, slice := range s.EndpointSlices {
		for i := range slice.Endpoints {
			if ip, err := netip.ParseAddr(slice.Endpoints[i].Address); err == nil {
				out[ip] = true
			}
		}
	}
	return out
}

// deadEnds returns what no slice names.
func deadEnds(list []netip.AddrPort, ends map[netip.Addr]bool) []string {
	var out []string
	for _, e := range list {
		if !ends[e.Addr()] {
			out = append(out, e.String())
		}
	}
	return out
}
