package kubeproxy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// findRulesStale looks for rules that lead to what no EndpointSlice names.
func findRulesStale(s *facts.Snapshot) []checks.Finding {
	stale := staleIn(s, wantedFronts(s))
	var out []checks.Finding
	for _, n := range ruledNodes(s) {
		set, _ := rulesOf(s, n)
		dead, now := stale(set)
		if dead, _ = certainly(s, dead); len(dead) > 0 {
			out = append(out, staleFinding(s, n, dead, now))
		}
	}
	return out
}

// staleIn returns what tells of a node's rules which of them lead to endpoints that are
// gone, and which mode is in use there.
func staleIn(s *facts.Snapshot, want map[front]wanted) func(ruleSet) (dead []lack, now string) {
	if partOfAll(s) != "" {
		return func(ruleSet) ([]lack, string) { return nil, "" }
	}
	services, ends := anyFronts(s), anyEnds(s)
	return func(set ruleSet) (out []lack, now string) {
		now = set.current(want)
		for mode, rules := range set {
			for at, list := range rules {
				svc := serviceAt(services, at)
				if mode == "ipvs" && svc.Namespace == "" && strings.HasPrefix(at.at, "nodeport:") {
					continue // a virtual server that somebody else made (Keepalived, LVS)
				}
				for _, r := range list {
					if dead := deadEnds(r.Endpoints, ends); len(dead) > 0 {
						out = append(out, lack{svc, fmt.Sprintf("mode %s: the rule for %s/%s leads to %s, which no EndpointSlice names", mode, at.at, at.proto, strings.Join(dead, ", ")), mode})
					}
				}
			}
		}
		sortLacks(out)
		return out, now
	}
}

// partOfAll says why not all endpoints are known, or "".
func partOfAll(s *facts.Snapshot) string {
	if s.Scope != "" {
		return "the endpoints of one namespace alone were read"
	}
	return ""
}

// noRulesOfAll says why rules cannot be held against all endpoints, or "".
func noRulesOfAll(s *facts.Snapshot) string { return cmp.Or(noRules(s), partOfAll(s)) }

func staleFinding(s *facts.Snapshot, node string, lacks []lack, now string) checks.Finding {
	f := checks.Finding{
		Subject: ruledBy(s, node, lacks), Message: "leads traffic of Services to endpoints that are gone", Evidence: quoteLacks(node, lacks),
		Remedy: "Restart kube-proxy there, which writes its rules anew: " + restartOn(s, node) + ".",
	}
	if at := slices.IndexFunc(lacks, func(l lack) bool { return l.mode != now }); at >= 0 {
		f.Message = fmt.Sprintf("keeps rules of mode %s that lead to endpoints that are gone, beside those of mode %s", lacks[at].mode, now)
		f.Remedy = "Remove what the other mode left: kube-proxy --cleanup on the node, then restart kube-proxy there; or drain and restart the node."
	}
	return f
}

// deadEnds returns what no slice names. That to which a Service of the doctor's own leads was
// not there when slices were read.
func deadEnds(list []netip.AddrPort, ends map[netip.Addr]bool) []string {
	var out []string
	for _, e := range list {
		if !ends[e.Addr()] && e.Port() != facts.BehindPort {
			out = append(out, e.String())
		}
	}
	return out
}
