package policy

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// BlocksDNS finds policies that keep pods from resolving names.
var BlocksDNS = &checks.Check{
	ID:       "networkpolicy-blocks-dns",
	Title:    "Every pod that NetworkPolicies select may ask cluster DNS",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/network-policies/",
	Needs:    []*facts.Source{facts.NetworkPolicies, facts.Pods, facts.Namespaces, facts.SystemServices},
	MayUse:   []*facts.Source{facts.Nodes, facts.Configz, facts.ConfigMaps, facts.ClusterRoles, facts.ClusterRoleBindings},
	When:     pointless,
	Explains: []*checks.Check{symptom.DNSProbeCluster},
	ByHand: []string{"kubectl get networkpolicies -A", "kubectl -n NAMESPACE describe networkpolicy POLICY",
		"kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide --show-labels"},
	Run: findBlocksDNS,
	Doc: `Once a NetworkPolicy with policyTypes Egress selects a pod, the pod may only go where some policy's egress rule
lets it, and DNS is no exception: without a rule for it no name resolves, and programs report that they cannot find their
database. Policies add up; none can take away what another allows. The same happens to everybody where a policy selects the
DNS pods themselves and lets only some pods in.

**How it comes about**: a default-deny policy without one that allows DNS; ` + "`name: kube-system`" + ` in a namespaceSelector,
a label which namespaces do not have by themselves (they have kubernetes.io/metadata.name); a port without protocol, which
means TCP, while DNS asks over UDP first; an ipBlock with the address of the DNS Service, or the Service's port where the pods
listen on another one (OpenShift: 5353): most plugins look at a packet after both were replaced by those of a DNS pod; an
ipBlock that excludes private addresses, and the DNS pods with them. Where NodeLocal DNSCache runs, pods ask an address of
their node, which selectors of pods do not match with every plugin.

**Cure**: let the pods of the namespace ask, with a policy of its own:

    podSelector: {}
    policyTypes: [Egress]
    egress:
    - to:
      - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
        podSelector: {matchLabels: {k8s-app: kube-dns}}
      ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]

The rules are held against the labels, addresses and ports that are there. Policies of a plugin's own kind
(CiliumNetworkPolicy, GlobalNetworkPolicy, AdminNetworkPolicy) are not read, so where the plugin knows such, the finding is no
more than a warning, and a hint where they usually allow what NetworkPolicies do not. Pods to which nothing at all is
allowed, or addresses alone, may have no need of names: of these it is a hint, too.`,
}

// pointless says why policies can cut nobody off from cluster DNS here, or that it cannot
// be told.
func pointless(s *facts.Snapshot) string {
	if len(s.NetworkPolicies) == 0 {
		return ""
	}
	if why := s.DNSElsewhere(); why != "" {
		return why
	}
	e := findEnforcer(s)
	switch e.answer {
	case unsure:
		return notKnown(s)
	case no:
		return e.name + " does not enforce NetworkPolicies: " + e.why
	}
	return ""
}

// policy is a NetworkPolicy that limits the traffic of some pods.
type policy struct {
	*networkingv1.NetworkPolicy
	selects labels.Selector
	ways    ways // that its egress rules allow
}

func findBlocksDNS(s *facts.Snapshot) []checks.Finding {
	if len(s.NetworkPolicies) == 0 {
		return nil
	}
	w := newWorld(s)
	if len(w.servers) == 0 {
		return nil // whatever keeps DNS from answering then, no policy does
	}
	var out []checks.Finding
	limited := w.restricting(networkingv1.PolicyTypeEgress)
	for _, namespace := range slices.Sorted(maps.Keys(limited)) {
		list := limited[namespace]
		for _, p := range list {
			p.ways = w.egress(p.NetworkPolicy)
		}
		out = append(out, w.blockedOut(s.PodsIn(namespace), list)...)
	}
	return append(out, w.blockedIn()...)
}

// restricting returns the policies of one direction by namespace.
func (w *world) restricting(direction networkingv1.PolicyType) map[string][]*policy {
	out := map[string][]*policy{}
	for _, np := range w.NetworkPolicies {
		if restricts(np, direction) && np.DeletionTimestamp == nil {
			out[np.Namespace] = append(out[np.Namespace], &policy{NetworkPolicy: np, selects: selector(&np.Spec.PodSelector)})
		}
	}
	return out
}

// fault is what is wrong with what a class of pods may ask.
type fault int

const (
	none    fault = iota
	shut          // nothing goes through
	tcpOnly       // and queries start with UDP
	early         // only what a packet looks like before the Service's address is replaced
	past          // only the DNS pods, while pods ask the cache on their node
	udpOnly       // large answers are lost
)

func faults() []fault { return []fault{shut, tcpOnly, early, past, udpOnly} }

// judge tells what is wrong with the ways that are allowed.
func (w *world) judge(allowed ways) fault {
	u, t := w.judgeOne(allowed[udp]), w.judgeOne(allowed[tcp])
	switch {
	case u == shut && t != shut:
		return tcpOnly
	case u == none && t == shut:
		return udpOnly
	}
	return u
}

// judgeOne does so for one protocol.
func (w *world) judgeOne(allowed way) fault {
	switch {
	case w.cached && allowed&toCache == 0 && allowed != 0:
		if w.id == "calico" || w.id == "canal" {
			return past // projectcalico/calico#3795
		}
		return none
	case w.cached && allowed != 0, allowed&toPod != 0:
		return none
	case allowed == 0:
		return shut
	case w.id == "aws-vpc":
		return none // it filters at the pod, before the address is replaced
	}
	return early
}

// blockedOut judges the pods of a namespace by its egress policies: one finding for each
// fault and policy.
func (w *world) blockedOut(pods []*facts.Pod, list []*policy) []checks.Finding {
	wrong := map[fault][]*class{}
	for _, c := range w.classes(pods, list) {
		var allowed ways
		for _, p := range c.policies {
			allowed[udp] |= p.ways[udp]
			allowed[tcp] |= p.ways[tcp]
		}
		if f := w.judge(allowed); f != none {
			wrong[f] = append(wrong[f], c)
		}
	}
	known := slices.ContainsFunc(list, func(p *policy) bool { return p.ways != ways{} })
	var out []checks.Finding
	for _, f := range faults() {
		for rest := wrong[f]; len(rest) > 0; {
			culprit := widest(f, rest)
			var its []*class
			rest = slices.DeleteFunc(slices.Clone(rest), func(c *class) bool {
				mine := slices.Contains(c.policies, culprit)
				if mine {
					its = append(its, c)
				}
				return mine
			})
			out = append(out, w.outward(f, culprit, its, known))
		}
	}
	return out
}

// widest returns the policy to correct that concerns the most pods: one that lets
// something through, where the fault is that it is not enough.
func widest(f fault, list []*class) *policy {
	var best *policy
	count := map[*policy]int{}
	for _, c := range list {
		partial := slices.ContainsFunc(c.policies, func(p *policy) bool { return p.ways != ways{} })
		for _, p := range c.policies {
			if f != shut && partial && p.ways == (ways{}) {
				continue
			}
			count[p] += len(c.pods)
			if best == nil || count[p] > count[best] || count[p] == count[best] && p.Name < best.Name {
				best = p
			}
		}
	}
	return best
}
