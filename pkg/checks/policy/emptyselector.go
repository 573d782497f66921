package policy

import (
	"fmt"
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// EmptySelector finds selectors of policies that select nothing by a slip.
var EmptySelector = &checks.Check{
	ID:       "netpol-empty-selector",
	Title:    "The selectors of NetworkPolicies name labels that are there",
	Severity: checks.Info,
	URL:      "https://kubernetes.io/docs/concepts/services-networking/network-policies/#targeting-a-namespace-by-its-name",
	Needs:    []*facts.Source{facts.NetworkPolicies, facts.Namespaces, facts.Pods},
	ByHand:   []string{"kubectl get namespaces --show-labels", "kubectl -n NAMESPACE get pods --show-labels", "kubectl -n NAMESPACE describe networkpolicy POLICY"},
	Run:      findEmptySelectors,
	Doc: `A selector that matches nothing is no error to the API server. In a rule it lets nobody through, so that
connections time out which the rule was written for; as the podSelector of the policy itself it leaves the pods as open as
they were.

**How it comes about**: ` + "`name: monitoring`" + ` in a namespaceSelector, though nobody gave the namespace that label (its
name is in kubernetes.io/metadata.name); a slip of the pen; app in one place and app.kubernetes.io/name in the other.

It is a hint, since namespaces and pods may come later than the policies that wait for them. Selectors of namespaces are told
where they match none; those of pods only where pods of the namespace carry almost the same label.

**Cure**: correct the selector, or label what it should select.`,
}

func findEmptySelectors(s *facts.Snapshot) []checks.Finding {
	namespaces := namespaceLabels(s)
	pods, dns := map[string][]labels.Set{}, map[string]bool{}
	for _, p := range s.DNSPods() {
		dns[p.Namespace] = true
	}
	var out []checks.Finding
	for _, np := range s.NetworkPolicies {
		if young(s, np) {
			continue
		}
		if _, known := pods[np.Namespace]; !known {
			pods[np.Namespace] = labelSets(s.PodsIn(np.Namespace))
		}
		out = append(out, emptyIn(np, namespaces, pods[np.Namespace], dns)...)
	}
	return out
}

// labelSets returns what pods are labelled with, each set once.
func labelSets(pods []*facts.Pod) []labels.Set {
	seen := map[*facts.Template]bool{}
	var out []labels.Set
	for _, p := range pods {
		if !seen[p.Template] {
			seen[p.Template] = true
			out = append(out, labels.Set(p.Labels))
		}
	}
	return out
}

// emptyIn judges the selectors of one policy, each wording once. Whether a rule meant for
// the namespace of the DNS pods lets queries through is networkpolicy-blocks-dns's to tell.
func emptyIn(np *networkingv1.NetworkPolicy, namespaces map[string]labels.Set, pods []labels.Set, dns map[string]bool) []checks.Finding {
	var out []checks.Finding
	told := map[string]bool{}
	add := func(f *checks.Finding) {
		if f != nil && !told[f.Message] {
			told[f.Message] = true
			out = append(out, *f)
		}
	}
	add(emptyPods(np, "", &np.Spec.PodSelector, pods))
	for where, list := range peerLists(np) {
		for i := range list {
			peer := &list[i]
			switch {
			case peer.NamespaceSelector != nil:
				if _, name := meantNamespace(peer.NamespaceSelector, namespaces); dns[name] && where == "egress" {
					continue
				}
				add(emptyNamespaces(np, where, peer.NamespaceSelector, namespaces))
			case peer.PodSelector != nil:
				add(emptyPods(np, where, peer.PodSelector, pods))
			}
		}
	}
	return out
}

// peerLists hands out the peers of every rule, with their direction.
func peerLists(np *networkingv1.NetworkPolicy) func(func(string, []networkingv1.NetworkPolicyPeer) bool) {
	return func(each func(string, []networkingv1.NetworkPolicyPeer) bool) {
		for i := range np.Spec.Ingress {
			if !each("ingress", np.Spec.Ingress[i].From) {
				return
			}
		}
		for i := range np.Spec.Egress {
			if !each("egress", np.Spec.Egress[i].To) {
				return
			}
		}
	}
}

func emptyNamespaces(np *networkingv1.NetworkPolicy, direction string, sel *metav1.LabelSelector, namespaces map[string]labels.Set) *checks.Finding {
	if matchesAny(sel, namespaces) {
		return nil
	}
	text := metav1.FormatLabelSelector(sel)
	f := &checks.Finding{
		Subject:  ref(np),
		Message:  fmt.Sprintf("has an %s rule for namespaces labelled %s, and there are none: the rule lets nothing through", direction, text),
		Evidence: []checks.Evidence{checks.Quote(ref(np).String()+", namespaceSelector", text)},
		Remedy:   "Correct the selector, or label the namespace that it is meant for.",
	}
	if key, name := meantNamespace(sel, namespaces); name != "" {
		f.Evidence = append(f.Evidence, checks.Quote("Namespace "+name+", labels", labelText(namespaces[name])))
		f.Remedy = fmt.Sprintf("Select the namespace by the label that it has by itself: kubernetes.io/metadata.name: %s in place of %s: %s.", name, key, name)
	}
	return f
}

func matchesAny(sel *metav1.LabelSelector, namespaces map[string]labels.Set) bool {
	compiled := selector(sel)
	for _, set := range namespaces {
		if compiled.Matches(set) {
			return true
		}
	}
	return false
}

// meantNamespace returns the label whose value is the name of a namespace, and that name.
func meantNamespace(sel *metav1.LabelSelector, namespaces map[string]labels.Set) (key, name string) {
	for _, key := range slices.Sorted(maps.Keys(sel.MatchLabels)) {
		if value := sel.MatchLabels[key]; namespaces[value] != nil {
			return key, value
		}
	}
	return "", ""
}

// emptyPods judges a selector of pods of the policy's own namespace: that of the policy
// itself, or of a rule of a direction.
func emptyPods(np *networkingv1.NetworkPolicy, direction string, sel *metav1.LabelSelector, pods []labels.Set) *checks.Finding {
	compiled, what := selector(sel), "selects no pod"
	if direction != "" {
		what = "has an " + direction + " rule that selects no pod"
	}
	if len(sel.MatchLabels) == 0 || slices.ContainsFunc(pods, func(set labels.Set) bool { return compiled.Matches(set) }) {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(sel.MatchLabels)) {
		rest := sel.DeepCopy()
		delete(rest.MatchLabels, key)
		others := selector(rest)
		for _, set := range pods {
			has, found := slip(key, sel.MatchLabels[key], set, sel.MatchLabels)
			if !found || !others.Matches(set) {
				continue
			}
			return &checks.Finding{
				Subject: ref(np),
				Message: fmt.Sprintf("%s: its podSelector says %s=%s, and pods are labelled %s", what, key, sel.MatchLabels[key], has),
				Evidence: []checks.Evidence{
					checks.Quote(ref(np).String()+", podSelector", metav1.FormatLabelSelector(sel)),
					checks.Quote("Pods of namespace "+np.Namespace+", labels", labelText(set)),
				},
				Remedy: fmt.Sprintf("Write %s in place of %s=%s, if those pods are meant.", has, key, sel.MatchLabels[key]),
			}
		}
	}
	return nil
}

// slip returns the label that a pod carries in the place of one of a selector: the same
// value under another key that says what a workload is, or one letter's difference.
func slip(key, value string, set labels.Set, used map[string]string) (label string, found bool) {
	if got, has := set[key]; has {
		return key + "=" + got, len(value) >= 4 && oneEdit(value, got)
	}
	for _, other := range slices.Sorted(maps.Keys(set)) {
		if _, taken := used[other]; !taken && identifies(key) && identifies(other) && set[other] == value {
			return other + "=" + value, true
		}
	}
	return "", false
}

// identifies tells whether people write under this key what a workload is.
func identifies(key string) bool {
	return slices.Contains([]string{"app", "run", "name", "k8s-app", "component", "app.kubernetes.io/name", "app.kubernetes.io/component"}, key)
}

// oneEdit tells whether one letter more, less or other makes one word of the other.
// Digits count things, so that web-1 is no slip for web-2.
func oneEdit(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	if a[i] >= '0' && a[i] <= '9' || i < len(b) && b[i] >= '0' && b[i] <= '9' {
		return false
	}
	if len(a) == len(b) {
		return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	}
	return a[i+1:] == b[i:]
}
