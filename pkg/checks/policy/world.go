package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

const (
	dnsPort     = 53
	settleTime  = time.Minute // how long a pod may be not Ready before it counts as in trouble
	udp, tcp    = 0, 1
	protocolsOf = 2
)

// way is how a query is allowed to go, as bits for each protocol.
type way uint8

const (
	toPod     way = 1 << iota // to a DNS pod at its own address and port
	toService                 // to the Service's address and port, as they are before kube-proxy replaces them
	toCache                   // to the cache on the pod's own node
)

// ways holds the bits for UDP and for TCP.
type ways [protocolsOf]way

func protocols() [protocolsOf]corev1.Protocol {
	return [protocolsOf]corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP}
}

// index returns the place of a protocol among protocols, or -1.
func index(of corev1.Protocol) int {
	for i, proto := range protocols() {
		if proto == of {
			return i
		}
	}
	return -1
}

// destination is a place where DNS queries may go.
type destination struct {
	end
	ports [protocolsOf]int32
	way   way
}

// world is what the policies are held against.
type world struct {
	*facts.Snapshot
	enforcer
	namespaces   map[string]labels.Set
	servers      map[*facts.Pod]bool // the DNS pods
	destinations []destination       // they, the Service and the cache
	cached       bool                // pods ask a cache on their node
	cacheIPs     []netip.Addr        // at these addresses
}

func newWorld(s *facts.Snapshot) *world {
	w := &world{Snapshot: s, enforcer: findEnforcer(s), namespaces: namespaceLabels(s), servers: map[*facts.Pod]bool{}}
	services := s.DNSServices()
	for _, p := range s.DNSPods() {
		if p.Deleting {
			continue
		}
		w.servers[p] = true
		w.destinations = append(w.destinations, destination{end: end{pod: p, ips: addresses(p.IPs())}, ports: listening(services, p), way: toPod})
		for _, svc := range services {
			w.destinations = append(w.destinations, destination{end: end{pod: p, ips: addresses(facts.ClusterIPs(svc))}, ports: [protocolsOf]int32{dnsPort, dnsPort}, way: toService})
		}
	}
	w.findCache(services)
	return w
}

// listening returns the ports of a DNS pod that the Service sends queries to.
func listening(services []*corev1.Service, p *facts.Pod) [protocolsOf]int32 {
	out := [protocolsOf]int32{dnsPort, dnsPort}
	for _, svc := range services {
		for _, port := range svc.Spec.Ports {
			i := index(cmp.Or(port.Protocol, corev1.ProtocolTCP))
			if port.Port != dnsPort || i < 0 {
				continue
			}
			target := port.TargetPort.IntVal
			if port.TargetPort.Type == intstr.String {
				target = named(p, port.TargetPort.StrVal, cmp.Or(port.Protocol, corev1.ProtocolTCP))
			}
			out[i] = cmp.Or(target, out[i])
		}
	}
	return out
}

// findCache looks for NodeLocal DNSCache, which answers at its own address or at that of
// the Service. Whatever a kubelet hands out and something listens on is the cache's.
func (w *world) findCache(services []*corev1.Service) {
	caches := slices.DeleteFunc(w.NodeCaches(), (*facts.Pod).Finished)
	if len(caches) == 0 {
		return
	}
	var asked []string
	for _, k := range w.Configz {
		asked = append(asked, k.ClusterDNS...)
	}
	if len(asked) == 0 {
		for _, svc := range services {
			asked = append(asked, facts.ClusterIPs(svc)...)
		}
	}
	listens := w.DNSListeners()
	asked = slices.DeleteFunc(asked, func(ip string) bool { return !listens(ip) })
	if len(asked) == 0 {
		return
	}
	w.cached = true
	slices.Sort(asked)
	cache := caches[0]
	w.cacheIPs = addresses(slices.Compact(asked))
	ips := slices.Concat(w.cacheIPs, addresses(cache.IPs()))
	w.destinations = append(w.destinations, destination{end: end{pod: cache, ips: ips}, ports: [protocolsOf]int32{dnsPort, dnsPort}, way: toCache})
}

// egress returns the ways that the rules of a policy allow.
func (w *world) egress(np *networkingv1.NetworkPolicy) ways {
	var out ways
	for i := range np.Spec.Egress {
		rule := &np.Spec.Egress[i]
		match := peers(w.namespaces, np.Namespace, rule.To)
		for j := range w.destinations {
			d := &w.destinations[j]
			if out[udp]&out[tcp]&d.way != 0 || !match(d.end) {
				continue
			}
			for k, proto := range protocols() {
				if open(rule.Ports, proto, d.pod, d.ports[k]) {
					out[k] |= d.way
				}
			}
		}
	}
	return out
}

// client tells whether a pod asks cluster DNS over its own network.
func (w *world) client(p *facts.Pod) bool {
	return !p.HostNetwork && !p.Finished() && !p.Deleting && p.DNSPolicy != corev1.DNSDefault && p.DNSPolicy != corev1.DNSNone &&
		!w.servers[p]
}

// class is the clients of a namespace that share all that policies look at.
type class struct {
	pods     []*facts.Pod
	policies []*policy // that select them
}

// classes sorts clients by what policies look at, and leaves out those that no policy of
// the list selects or a young one does.
func (w *world) classes(pods []*facts.Pod, list []*policy) []*class {
	at := map[*facts.Template]*class{}
	var out []*class
	for _, p := range pods {
		if !w.client(p) {
			continue
		}
		c, known := at[p.Template]
		if !known {
			c = w.classOf(p, list)
			at[p.Template] = c
			if c != nil {
				out = append(out, c)
			}
		}
		if c != nil {
			c.pods = append(c.pods, p)
		}
	}
	return out
}

func (w *world) classOf(p *facts.Pod, list []*policy) *class {
	c := &class{}
	for _, np := range list {
		if np.selects.Matches(labels.Set(p.Labels)) {
			if young(w.Snapshot, np.NetworkPolicy) {
				return nil
			}
			c.policies = append(c.policies, np)
		}
	}
	if len(c.policies) == 0 {
		return nil
	}
	return c
}

// inTrouble tells whether some of the pods crash or have not been Ready for a while.
func (c *class) inTrouble(now time.Time) bool {
	return slices.ContainsFunc(c.pods, func(p *facts.Pod) bool {
		since := max(p.Created, p.ReadySince)
		return p.Crashing() != nil || !p.Ready && now.Sub(since.Time()) >= settleTime
	})
}
