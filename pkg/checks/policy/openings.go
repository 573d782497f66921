package policy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Opening is what to add beside a policy so that it no longer cuts off what is needed. It
// selects only pods that policies limit already: a pod that none limits would be cut off
// from everything else by the first that selects it.
type Opening struct {
	Policies []*networkingv1.NetworkPolicy
	Doubt    string // why it may be meant as it is; "" where that is not likely
	Unread   string // who knows policies of kinds that were not read; "" for nobody
}

// DNSOpening opens what a policy that BlocksDNS found keeps pods from.
func DNSOpening(s *facts.Snapshot, of facts.Ref) (Opening, error) {
	np := policyOf(s, of)
	if np == nil {
		return Opening{}, fmt.Errorf("%s is not there", of)
	}
	w := newWorld(s)
	if len(w.servers) == 0 {
		return Opening{}, errors.New("no DNS server runs as a pod that a policy could allow")
	}
	var out Opening
	if w.others != noOthers {
		out.Unread = w.name
	}
	limited := w.restricting(networkingv1.PolicyTypeEgress)[np.Namespace]
	for _, p := range limited {
		p.ways = w.egress(p.NetworkPolicy)
	}
	outward := about(w.blockedOut(s.PodsIn(np.Namespace), limited), of)
	if len(outward) > 0 {
		out.Policies = append(out.Policies, w.allowOut(np))
		out.Doubt = w.doubt(outward)
	}
	if len(about(w.blockedIn(), of)) > 0 {
		out.Policies = append(out.Policies, w.allowIn())
	}
	if err := w.selectable(); err != nil {
		return Opening{}, err
	}
	return out, fits(s, of, out.Policies, findBlocksDNS)
}

func policyOf(s *facts.Snapshot, of facts.Ref) *networkingv1.NetworkPolicy {
	i := slices.IndexFunc(s.NetworkPolicies, func(np *networkingv1.NetworkPolicy) bool { return ref(np) == of })
	if i < 0 {
		return nil
	}
	return s.NetworkPolicies[i]
}

func about(list []checks.Finding, of facts.Ref) []checks.Finding {
	return slices.DeleteFunc(list, func(f checks.Finding) bool { return f.Subject != of })
}

// doubt says why what was found may be meant.
func (w *world) doubt(list []checks.Finding) string {
	for _, f := range list {
		if f.Severity != checks.Info || f.Message == w.outwardMessage(udpOnly) {
			return ""
		}
	}
	if w.others == manyOthers {
		return "policies of kinds that only " + w.name + " knows may allow it already, and were not read"
	}
	return "these pods may have no need of names: nothing at all is allowed to them, or addresses alone"
}

// selectable says why rules cannot tell the DNS pods by labels, or nil.
func (w *world) selectable() error {
	set, namespace := w.serverLabels(), w.server().pod.Namespace
	if len(set) == 0 {
		return errors.New("the DNS pods have no labels by which a policy could allow them")
	}
	for _, p := range w.DNSPods() {
		switch {
		case !w.servers[p]:
		case p.HostNetwork:
			return fmt.Errorf("%s runs on its node's network, where policies know it by addresses alone: allow those by an ipBlock", p.Ref())
		case p.Namespace != namespace || !facts.Matches(set, p.Labels):
			return fmt.Errorf("the DNS servers are not selected by one set of labels (%s in %s, and %s is not): write the policy by hand", labelText(set), namespace, p.Ref())
		}
	}
	for _, p := range w.Selected(namespace, set) {
		if !w.servers[p] && !p.Finished() && !p.Deleting {
			return fmt.Errorf("the labels of the DNS pods (%s) are those of %s too: write the policy by hand", labelText(set), p.Ref())
		}
	}
	return nil
}

// allowOut is the policy that lets the pods which np limits ask cluster DNS.
func (w *world) allowOut(np *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	pods := networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.server().pod.Namespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: maps.Clone(w.serverLabels())},
	}
	out := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: np.Namespace, Name: "allow-dns-egress"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *np.Spec.PodSelector.DeepCopy(),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			Egress:      []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{pods}, Ports: dnsPorts(w.server().ports)}},
		},
	}
	var cache []networkingv1.NetworkPolicyPeer
	for _, ip := range w.cacheIPs {
		cache = append(cache, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: netip.PrefixFrom(ip, ip.BitLen()).String()}})
	}
	if len(cache) > 0 {
		out.Spec.Egress = append(out.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: cache, Ports: dnsPorts([protocolsOf]int32{dnsPort, dnsPort})})
	}
	return out
}

// allowIn is the policy that lets all pods ask the DNS pods.
func (w *world) allowIn() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.server().pod.Namespace, Name: "allow-dns-ingress"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: maps.Clone(w.serverLabels())},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}},
				Ports: dnsPorts(w.server().ports),
			}},
		},
	}
}

func dnsPorts(numbers [protocolsOf]int32) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for i, proto := range protocols() {
		port := intstr.FromInt32(numbers[i])
		out = append(out, networkingv1.NetworkPolicyPort{Protocol: &proto, Port: &port})
	}
	return out
}

// fits gives new policies names that are free, and says why they would not do, or nil.
func fits(s *facts.Snapshot, of facts.Ref, list []*networkingv1.NetworkPolicy, find func(*facts.Snapshot) []checks.Finding) error {
	if len(list) == 0 {
		return fmt.Errorf("nothing is there that a policy beside %s could open", of)
	}
	after := *s
	after.NetworkPolicies = slices.Concat(s.NetworkPolicies, list)
	for _, np := range list {
		if policyOf(s, ref(np)) != nil {
			np.Name += "-" + of.Name
		}
		if policyOf(s, ref(np)) != nil {
			return fmt.Errorf("%s is there already: correct that one", ref(np))
		}
	}
	if left := about(find(&after), of); len(left) > 0 {
		return fmt.Errorf("a policy beside it would not be enough: %s", left[0].Message)
	}
	return nil
}

// WebhookOpening opens the ports of admission webhooks that a policy which DefaultDeny
// found keeps the API server from.
func WebhookOpening(s *facts.Snapshot, of facts.Ref) (Opening, error) {
	e := findEnforcer(s)
	var out Opening
	if e.others != noOthers {
		out.Unread = e.name
	}
	limiting := ingressPolicies(s)
	told := map[facts.Ref]bool{}
	for _, a := range unanswered(s) {
		svc := s.Service(a.service.Namespace, a.service.Name)
		if svc == nil || told[a.service] {
			continue
		}
		told[a.service] = true
		if np, _, port := shutsWebhook(s, svc, a.port, limiting[svc.Namespace]); np != nil && ref(np) == of {
			out.Policies = append(out.Policies, allowWebhook(np, svc, port))
		}
	}
	if len(out.Policies) == 0 {
		return out, fmt.Errorf("who may reach the pods of namespace %s only its owner can say: add a policy with rules of ingress for them", of.Namespace)
	}
	return out, fits(s, of, out.Policies, findDefaultDeny)
}

// allowWebhook selects those pods of the Service that np limits.
func allowWebhook(np *networkingv1.NetworkPolicy, svc *corev1.Service, port int32) *networkingv1.NetworkPolicy {
	pods := np.Spec.PodSelector.DeepCopy()
	if pods.MatchLabels == nil {
		pods.MatchLabels = map[string]string{}
	}
	maps.Copy(pods.MatchLabels, svc.Spec.Selector) // they agree: a pod has both
	tcp, to := corev1.ProtocolTCP, intstr.FromInt32(port)
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: np.Namespace, Name: "allow-webhook-" + svc.Name},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *pods,
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{{Protocol: &tcp, Port: &to}}}},
		},
	}
}
