package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// ServiceRules is the file with what a node's kernel does with the traffic of Services.
const ServiceRules = "/service-rules"

// ServiceRule is a line of /service-rules: what one rule, or one entry of a map, of
// kube-proxy's does, whichever way it is written. Names of chains are resolved, so that
// only addresses remain:
//
//	MODE PROTO FRONT KIND [ENDPOINT ...]
//	iptables tcp 10.96.0.1:443 cluster 10.0.0.5:6443
//	nftables udp 10.96.0.10:53 cluster 10.244.1.2:53 10.244.2.3:53
//	iptables tcp nodeport:30080 nodeport 10.244.1.7:8080
//	iptables tcp 10.96.7.7:80 reject
//
// The kinds are
//
//	cluster   a ClusterIP
//	external  an external address or one of a load balancer
//	nodeport  a port of every node
//	inside    an external address or a port again, for what comes from pods and from the node
//	          itself, where that is led elsewhere: externalTrafficPolicy Local
//	reject    a front without endpoints
//	drop      a front without endpoints on this node, whose policy is Local
//
// What comes from pods is followed, from the hook prerouting on. A front of the first three
// kinds that nothing leads to, or that leads nowhere, has no endpoints. With externalTrafficPolicy
// Local and no endpoint on the node that is as it should be, and a line of kind drop stands
// beside it. ipvs does not tell the kinds cluster and external apart: all are cluster.
type ServiceRule struct {
	Mode      string // iptables, iptables-legacy, nftables, ipvs
	Proto     string // tcp, udp, sctp
	Front     string // address:port, or nodeport:PORT
	Kind      string // see above
	Endpoints []netip.AddrPort
}

// String writes the rule as a line of the file, its endpoints sorted.
func (r ServiceRule) String() string {
	words := []string{r.Mode, r.Proto, r.Front, r.Kind}
	sorted := slices.SortedFunc(slices.Values(r.Endpoints), netip.AddrPort.Compare)
	for _, e := range sorted {
		words = append(words, e.String())
	}
	return strings.Join(words, " ")
}

// ParseServiceRules reads the file. A line that is none of these is an error.
func ParseServiceRules(text string) ([]ServiceRule, error) {
	var out []ServiceRule
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 4 {
			return nil, fmt.Errorf("%s: %.80q is no rule", ServiceRules, line)
		}
		r := ServiceRule{Mode: words[0], Proto: words[1], Front: words[2], Kind: words[3]}
		for _, word := range words[4:] {
			e, err := netip.ParseAddrPort(word)
			if err != nil {
				return nil, fmt.Errorf("%s: %.80q: %w", ServiceRules, line, err)
			}
			r.Endpoints = append(r.Endpoints, e)
		}
		out = append(out, r)
	}
	return out, nil
}

// ChangedAny is the key, below that of facts.Files, of a gap that says that it is not known
// which Services changed while the nodes were looked at.
const ChangedAny = "Services"

const changedPrefix = "Service "

// Changed is the key, below that of facts.Files, of a gap that says that the endpoints of a
// Service changed while the nodes were looked at, so that their rules cannot be held
// against them. No node has such a name.
func Changed(svc facts.Ref) string { return changedPrefix + svc.Namespace + "/" + svc.Name }

// ChangedService returns the Service of such a key.
func ChangedService(key string) (svc facts.Ref, found bool) {
	name, found := strings.CutPrefix(key, changedPrefix)
	namespace, name, ok := strings.Cut(name, "/")
	return facts.Ref{Kind: "Service", Namespace: namespace, Name: name}, found && ok
}
