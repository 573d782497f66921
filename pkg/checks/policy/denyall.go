package policy

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// DefaultDeny finds namespaces into which policies let nobody, although Services lead there, and those
// that keep the API server from admission webhooks.
var DefaultDeny = &checks.Check{
	ID:       "netpol-default-deny",
	Title:    "What is denied by default has a policy that allows what is needed",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-policies",
	Needs:    []*facts.Source{facts.NetworkPolicies, facts.Pods, facts.Services},
	MayUse: []*facts.Source{facts.Events, facts.Nodes, facts.ConfigMaps, facts.ClusterRoles, facts.ClusterRoleBindings,
		facts.ValidatingWebhooks, facts.MutatingWebhooks},
	When: notEnforced,
	ByHand: []string{"kubectl get networkpolicies -A", "kubectl -n NAMESPACE describe networkpolicy POLICY",
		"kubectl get events -A --field-selector reason=FailedCreate"},
	Run: findDefaultDeny,
	Doc: `A policy with an empty podSelector and policyTypes Ingress, but without a rule, lets nothing reach any pod of its namespace:
default deny. It is a good start, and more policies then open what is needed; they add up. Connections that nothing allows are not refused
but time out.

**Nothing is open**: a namespace has such a policy, no policy of it has a single rule of ingress, and yet Services lead to its pods. Probably
the second half was forgotten. It is a hint, since only health checks of the kubelet may be wanted.

**An admission webhook is closed**: the API server asks webhooks before it makes a pod, and it comes from outside of the pods, so that
no podSelector or namespaceSelector matches it. If the policies of the webhook's namespace let only pods in, each question waits for its
timeout, and with failurePolicy Fail, or where several timeouts add up, nothing is made any more, in no namespace. It is found where an event
FailedCreate of the last ten minutes says that a webhook timed out, or the whole request, and the policies that select the webhook's pods have no
rule for its port that takes everybody or an address block.

**Cure**: add a policy that allows what is meant to come in. For a webhook: a rule of ingress with its port and without from, or with an
ipBlock for each control plane node's address.`,
}

// notEnforced says why policies close nothing here, or that it cannot be told.
func notEnforced(s *facts.Snapshot) string {
	if len(s.NetworkPolicies) == 0 {
		return ""
	}
	if e := findEnforcer(s); e.answer == no {
		return e.name + " does not enforce NetworkPolicies: " + e.why
	}
	return notKnown(s)
}

func findDefaultDeny(s *facts.Snapshot) []checks.Finding {
	if len(s.NetworkPolicies) == 0 {
		return nil
	}
	byNamespace := ingressPolicies(s)
	e := findEnforcer(s)
	out := e.webhooksShut(s, byNamespace)
	told := map[string]bool{}
	for _, f := range out {
		told[f.Subject.Namespace] = true
	}
	led := servicesIn(s)
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		list := byNamespace[namespace]
		if len(led[namespace]) > 0 && !told[namespace] && !slices.ContainsFunc(list, func(np *networkingv1.NetworkPolicy) bool { return len(np.Spec.Ingress) > 0 || young(s, np) }) {
			if i := slices.IndexFunc(list, everyPod); i >= 0 {
				out = append(out, e.nothingOpen(list[i], led[namespace]))
			}
		}
	}
	return out
}

// ingressPolicies returns the policies that limit who comes in, by namespace.
func ingressPolicies(s *facts.Snapshot) map[string][]*networkingv1.NetworkPolicy {
	out := map[string][]*networkingv1.NetworkPolicy{}
	for _, np := range s.NetworkPolicies {
		if np.DeletionTimestamp == nil && restricts(np, networkingv1.PolicyTypeIngress) {
			out[np.Namespace] = append(out[np.Namespace], np)
		}
	}
	return out
}

// servicesIn returns, by namespace, the Services that lead to pods which policies can close.
func servicesIn(s *facts.Snapshot) map[string][]string {
	out := map[string][]string{}
	for _, svc := range s.Services {
		if slices.ContainsFunc(s.Selected(svc.Namespace, svc.Spec.Selector), closable) {
			out[svc.Namespace] = append(out[svc.Namespace], svc.Name)
		}
	}
	return out
}

func closable(p *facts.Pod) bool { return !p.HostNetwork && !p.Finished() && !p.Deleting }

func (e enforcer) nothingOpen(np *networkingv1.NetworkPolicy, services []string) checks.Finding {
	f := checks.Finding{
		Subject: ref(np),
		Message: "lets nothing reach the pods of its namespace, no other policy opens anything, and Services lead there",
		Evidence: []checks.Evidence{quote(np, networkingv1.PolicyTypeIngress),
			checks.Quote("Services of namespace "+np.Namespace+" that lead to pods", fmt.Sprintf("%d: %s", len(services), some(services)))},
		Remedy: "If these Services are meant to be used, add a policy beside it with rules of ingress for who may come and to which port; policies add up.",
	}
	return e.besides(f)
}

// besides adds what may open nevertheless.
func (e enforcer) besides(f checks.Finding) checks.Finding {
	if e.others != noOthers {
		f.Evidence = append(f.Evidence, checks.Quote(e.where, "policies of kinds that only "+e.name+" knows were not read; one of them may allow it"))
	}
	return f
}

// lately is how old an event may be.
const lately = 10 * time.Minute

var (
	// webhookTimeout matches how the API server says that it got no answer from a webhook's Service
	// (k8s.io/apiserver pkg/admission/plugin/webhook).
	webhookTimeout = regexp.MustCompile(`failed calling webhook .*Post \\?"?https://([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.[a-z0-9.-]+)?:(\d+)[^ ]*: ` +
		`(?:context deadline exceeded|dial tcp \S+: i/o timeout|net/http: (?:request canceled|TLS handshake timeout))`)
	// requestTimeout matches what is left of it where failures of webhooks are ignored, and several take
	// more time than a request has.
	requestTimeout = regexp.MustCompile(`request did not complete within requested timeout`)
)

// asked is a Service that the API server asks, and why it is thought that it gets no answer.
type asked struct {
	service facts.Ref
	port    int32
	why     []checks.Evidence
}

// unanswered returns the webhooks' Services that time out, by the events about objects that could not
// be made. An event that names none may be about any.
func unanswered(s *facts.Snapshot) []asked {
	var out []asked
	var nameless *facts.Event
	for _, e := range s.EventsOf("FailedCreate") {
		if s.Taken.Sub(e.Seen.Time()) >= lately {
			continue
		}
		if m := webhookTimeout.FindStringSubmatch(e.Message); m != nil {
			port, err := strconv.ParseInt(m[3], 10, 32)
			if err == nil {
				out = append(out, asked{facts.Ref{Kind: "Service", Namespace: m[2], Name: m[1]}, int32(port), []checks.Evidence{quoteEvent(e)}})
			}
		} else if requestTimeout.MatchString(e.Message) {
			nameless = e
		}
	}
	if nameless == nil {
		return out
	}
	for _, b := range slices.Concat(s.Backends(facts.ValidatingWebhooks), s.Backends(facts.MutatingWebhooks)) {
		out = append(out, asked{b.Service, b.Port, []checks.Evidence{quoteEvent(nameless),
			checks.Quote(fmt.Sprintf("%s, %s", b.From, b.Where), fmt.Sprintf("asks %s on port %d", b.Service, b.Port))}})
	}
	return out
}

func quoteEvent(e *facts.Event) checks.Evidence {
	return checks.Quote(e.About.String()+", event "+e.Reason, e.Message)
}

// webhooksShut finds policies that keep the API server from webhooks which time out.
func (e enforcer) webhooksShut(s *facts.Snapshot, byNamespace map[string][]*networkingv1.NetworkPolicy) []checks.Finding {
	var out []checks.Finding
	told := map[facts.Ref]bool{}
	for _, a := range unanswered(s) {
		svc := s.Service(a.service.Namespace, a.service.Name)
		if svc == nil || told[a.service] {
			continue
		}
		told[a.service] = true
		np, p, port := shutsWebhook(s, svc, a.port, byNamespace[svc.Namespace])
		if np == nil {
			continue
		}
		out = append(out, e.besides(checks.Finding{
			Subject: ref(np), Severity: checks.Error,
			Message: "keeps the API server from an admission webhook: objects that it is asked about cannot be made",
			Evidence: append(a.why, quote(np, networkingv1.PolicyTypeIngress),
				checks.Quote(p.Ref().String()+", behind "+a.service.String(), fmt.Sprintf("labels %s; port %d", labelText(p.Labels), port))),
			Remedy: fmt.Sprintf("Add a policy to namespace %s with a rule of ingress for TCP port %d of these pods and without from: "+
				"no selector of pods matches the API server.", svc.Namespace, port),
		}))
	}
	return out
}

// shutsWebhook returns a policy that selects a pod of the Service where none of those that select it
// opens the port to what is no pod, with the pod and its port. What an address block allows is left
// open.
func shutsWebhook(s *facts.Snapshot, svc *corev1.Service, port int32, list []*networkingv1.NetworkPolicy) (*networkingv1.NetworkPolicy, *facts.Pod, int32) {
	for _, p := range s.Selected(svc.Namespace, svc.Spec.Selector) {
		to := behind(svc, port, p)
		if !closable(p) || to == 0 {
			continue
		}
		var shut *networkingv1.NetworkPolicy
		for _, np := range list {
			if !selector(&np.Spec.PodSelector).Matches(labels.Set(p.Labels)) {
				continue
			}
			if young(s, np) || opensToAll(np, p, to) {
				return nil, nil, 0
			}
			shut = np
		}
		if shut != nil {
			return shut, p, to
		}
	}
	return nil, nil, 0
}

// behind returns the port of a pod to which a Service leads one of its own, or 0.
func behind(svc *corev1.Service, port int32, p *facts.Pod) int32 {
	for i := range svc.Spec.Ports {
		sp := &svc.Spec.Ports[i]
		switch {
		case sp.Port != port:
		case sp.TargetPort.Type == intstr.String:
			return named(p, sp.TargetPort.StrVal, corev1.ProtocolTCP)
		default:
			return cmp.Or(sp.TargetPort.IntVal, sp.Port)
		}
	}
	return 0
}

// opensToAll tells whether a rule opens a port to everybody, or to a block of addresses.
func opensToAll(np *networkingv1.NetworkPolicy, p *facts.Pod, port int32) bool {
	return slices.ContainsFunc(np.Spec.Ingress, func(rule networkingv1.NetworkPolicyIngressRule) bool {
		outside := len(rule.From) == 0 || slices.ContainsFunc(rule.From, func(peer networkingv1.NetworkPolicyPeer) bool { return peer.IPBlock != nil })
		return outside && open(rule.Ports, corev1.ProtocolTCP, p, port)
	})
}
