package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// outward tells that a policy keeps pods of its namespace from asking. known says that
// some policy of the namespace allows DNS, so that its author has thought of it.
func (w *world) outward(f fault, p *policy, list []*class, known bool) checks.Finding {
	trouble := slices.ContainsFunc(list, func(c *class) bool { return c.inTrouble(w.Taken) })
	deliberate := f == shut && !trouble && (known || !everyPod(p.NetworkPolicy)) &&
		!slices.ContainsFunc(list, func(c *class) bool { return needsNames(c) })
	var names []string
	for _, c := range list {
		for _, pod := range c.pods {
			names = append(names, pod.Name)
		}
	}
	out := checks.Finding{
		Subject: ref(p.NetworkPolicy), Severity: w.severity(f, deliberate, trouble),
		Message: w.outwardMessage(f), Remedy: w.outwardRemedy(f, deliberate, p),
		Evidence: []checks.Evidence{
			quote(p.NetworkPolicy, networkingv1.PolicyTypeEgress), w.target(),
			checks.Quote("Pods of namespace "+p.Namespace+" that it concerns", fmt.Sprintf("%d: %s", len(names), some(names))),
		},
		Places: owners(list),
	}
	if w.others != noOthers {
		out.Evidence = append(out.Evidence, checks.Quote(w.where, "policies of kinds that only "+w.name+" knows were not read; one of them may allow it"))
	}
	return out
}

// severity is that of a fault, as far as it is certain.
func (w *world) severity(f fault, deliberate, trouble bool) checks.Severity {
	out := checks.Error
	switch {
	case f == udpOnly || deliberate:
		out = checks.Info
	case f == early || f == past:
		out = checks.Warning
	}
	switch {
	case w.others == manyOthers && !trouble:
		return checks.Info
	case w.others != noOthers, w.cached:
		// Whether traffic to the pod's own node is limited at all is left to the plugins.
		return min(out, checks.Warning)
	}
	return out
}

func everyPod(np *networkingv1.NetworkPolicy) bool {
	return len(np.Spec.PodSelector.MatchLabels)+len(np.Spec.PodSelector.MatchExpressions) == 0
}

// needsNames tells whether pods are allowed to go to other pods, which are found by name,
// or to everywhere.
func needsNames(c *class) bool {
	return slices.ContainsFunc(c.policies, func(p *policy) bool {
		return slices.ContainsFunc(p.Spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
			return len(rule.To) == 0 || slices.ContainsFunc(rule.To, func(to networkingv1.NetworkPolicyPeer) bool { return to.IPBlock == nil })
		})
	})
}

func (w *world) outwardMessage(f fault) string {
	ports := w.portText()
	switch f {
	case tcpOnly:
		return "keeps pods from cluster DNS: port " + ports + " is open over TCP alone, and queries are sent over UDP"
	case early:
		return "may keep pods from cluster DNS: it allows the address or port of the DNS Service, but not those of the DNS pods, by which most plugins go"
	case past:
		return "keeps pods from cluster DNS: it allows the DNS pods, but pods ask the cache on their node"
	case udpOnly:
		return "allows DNS over UDP alone: answers too large for it, which are asked for again over TCP, do not arrive"
	}
	return "cuts pods off from cluster DNS: no egress rule lets them ask the DNS pods on port " + ports
}

func (w *world) outwardRemedy(f fault, deliberate bool, p *policy) string {
	to := w.serverText() + " on port " + w.portText()
	switch key := w.mislabelled(p); {
	case key != "":
		name := w.server().pod.Namespace
		return fmt.Sprintf("Select the namespace by the label that it has by itself: kubernetes.io/metadata.name: %s in place of %s: %s.", name, key, name)
	case deliberate:
		return "Nothing, if these pods need no names; else add a policy to the namespace that allows egress to " + to + " over UDP and TCP."
	case f == tcpOnly:
		return "Add protocol UDP for that port to the rule; a port without protocol means TCP."
	case f == udpOnly:
		return "Add protocol TCP for that port to the rule."
	case w.cached:
		return "Add a policy to the namespace that allows egress over UDP and TCP port 53 to the cache's addresses (ipBlock), and to " + to + "."
	}
	return "Add a policy to the namespace that allows egress to " + to + " over UDP and TCP; policies add up."
}

// mislabelled returns the label by which an egress rule would select the namespace of the
// DNS pods if that had it, or "".
func (w *world) mislabelled(p *policy) string {
	for i := range p.Spec.Egress {
		for _, to := range p.Spec.Egress[i].To {
			if to.NamespaceSelector == nil || matchesAny(to.NamespaceSelector, w.namespaces) {
				continue
			}
			if key, name := meantNamespace(to.NamespaceSelector, w.namespaces); name == w.server().pod.Namespace {
				return key
			}
		}
	}
	return ""
}

// inward tells that the policies of the DNS pods keep pods out, which are counted by
// namespace.
func (w *world) inward(f fault, guards []guard, out map[string]int) checks.Finding {
	np := guards[0].policies[0]
	finding := checks.Finding{Subject: ref(np), Severity: w.severity(f, false, false)}
	for _, g := range guards {
		finding.Places = append(finding.Places, g.server.pod.Ref())
	}
	reach := "port " + w.portText()
	switch f {
	case tcpOnly:
		finding.Message = "keeps pods from cluster DNS: it selects the DNS pods and lets others in on " + reach + " over TCP alone, while queries are sent over UDP"
	case udpOnly:
		finding.Message = "selects the DNS pods and lets others in over UDP alone: answers too large for it, which are asked for again over TCP, do not arrive"
	default:
		finding.Message = "keeps pods from cluster DNS: it selects the DNS pods and lets only some pods in on " + reach
	}
	finding.Remedy = "Allow ingress from every namespace (namespaceSelector: {}) on " + reach + " over UDP and TCP, in this policy or one beside it."
	for i, policy := range guards[0].policies {
		if i < shown {
			finding.Evidence = append(finding.Evidence, quote(policy, networkingv1.PolicyTypeIngress))
		}
	}
	names := slices.Sorted(maps.Keys(out))
	pods := 0
	for _, n := range out {
		pods += n
	}
	finding.Evidence = append(finding.Evidence, w.target(),
		checks.Quote("Namespaces whose pods it keeps out", fmt.Sprintf("%d: %s; pods in all: %d", len(names), some(names), pods)))
	if w.others != noOthers {
		finding.Evidence = append(finding.Evidence, checks.Quote(w.where, "policies of kinds that only "+w.name+" knows were not read; one of them may allow it"))
	}
	return finding
}

// server returns the first DNS pod.
func (w *world) server() *destination {
	return &w.destinations[slices.IndexFunc(w.destinations, func(d destination) bool { return d.way == toPod })]
}

func (w *world) target() checks.Evidence {
	d := w.server()
	text := fmt.Sprintf("labels %s; address %s; port %s", labelText(d.pod.Labels), strings.Join(d.pod.IPs(), ", "), w.portText())
	if w.cached {
		cache := w.destinations[len(w.destinations)-1]
		return checks.Quote(cache.pod.Ref().String()+", addresses of the cache", joinedAddresses(cache.ips))
	}
	return checks.Quote(d.pod.Ref().String()+", which must be reached", text)
}

func joinedAddresses(ips []netip.Addr) string {
	texts := make([]string, len(ips))
	for i, ip := range ips {
		texts[i] = ip.String()
	}
	return strings.Join(texts, ", ")
}

// serverText says how a rule selects the DNS pods.
func (w *world) serverText() string {
	return fmt.Sprintf("namespaceSelector kubernetes.io/metadata.name=%s with podSelector %s", w.server().pod.Namespace, labelText(w.serverLabels()))
}

// serverLabels returns the labels by which a rule selects the DNS pods.
func (w *world) serverLabels() map[string]string {
	pod := w.server().pod
	set := map[string]string{}
	for _, svc := range w.DNSServices() {
		if svc.Namespace == pod.Namespace && facts.Matches(svc.Spec.Selector, pod.Labels) {
			set = svc.Spec.Selector
		}
	}
	if len(set) == 0 {
		set = maps.Clone(pod.Labels)
		delete(set, "pod-template-hash")
	}
	return set
}

func (w *world) portText() string {
	ports := w.server().ports
	if ports[udp] == ports[tcp] {
		return strconv.Itoa(int(ports[udp]))
	}
	return fmt.Sprintf("%d/UDP and %d/TCP", ports[udp], ports[tcp])
}

func labelText(set map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		out = append(out, key+"="+set[key])
	}
	return strings.Join(out, ",")
}

// owners returns the workloads of pods, each once.
func owners(list []*class) []facts.Ref {
	seen := map[facts.Ref]bool{}
	var out []facts.Ref
	for _, c := range list {
		for _, p := range c.pods {
			of := p.Owner
			if of.Kind == "" {
				of = p.Ref()
			}
			if !seen[of] {
				seen[of] = true
				out = append(out, of)
			}
		}
	}
	slices.SortFunc(out, facts.Ref.Compare)
	return out
}
