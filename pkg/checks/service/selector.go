package service

import (
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/symptom"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// grace is how old a Service must be: its workload may be made after it.
const grace = time.Minute

// SelectorMismatch finds Services whose selector misses, by one label, the pods that
// they are meant for.
var SelectorMismatch = &checks.Check{
	ID:       "service-selector-mismatch",
	Title:    "The selector of every Service names labels that its pods have",
	Severity: checks.Error,
	URL:      "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#is-the-service-defined-correctly",
	Needs:    []*facts.Source{facts.Services, facts.Pods},
	MayUse:   []*facts.Source{facts.EndpointSlices, facts.Deployments, facts.DaemonSets, facts.Configz},
	Explains: []*checks.Check{symptom.ServiceNoEndpoints},
	ByHand: []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.selector}'",
		"kubectl -n NAMESPACE get pods --show-labels"},
	Run: findSelectorMismatch,
	Doc: `A Service sends traffic to the pods that carry every label of its selector. One letter is enough for it to find
none: it then has no endpoint, and connections to it are refused.

**How it comes about**: a slip in the Service or the pod template; ` + "`kubectl run`" + ` labels its pods run=NAME and
` + "`kubectl create deployment`" + ` app=NAME, so that a Service written for the one does not fit the other; a chart that changed its labels.

It is told only where one correction stands out: pods in the same namespace that lack a single label of the selector, by a
slip of the pen, or under another key with the same value, or as the workload that is called like the Service, and that no
other Service is meant for. Where nothing of the kind is there, the workload may simply not be installed.

**Cure**: correct the selector (the Service's clients notice nothing else). Changing the labels of a Deployment's pods instead
means to make it anew, since its own selector is immutable. What Helm or GitOps manages is corrected in its source.`,
}

func findSelectorMismatch(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range selecting(s) {
		if s.Taken.Sub(svc.CreationTimestamp.Time) < grace || selects(s, svc) {
			continue
		}
		if m, unique := meant(s, svc); unique {
			out = append(out, mismatch(svc, m))
		}
	}
	return out
}

// selects tells whether the Service's selector is right as it stands: pods or the
// template of a workload without pods have its labels, or something else gives it
// endpoints.
func selects(s *facts.Snapshot, svc *corev1.Service) bool {
	if _, all := s.ReadyEndpoints(svc); all > 0 || len(s.Selected(svc.Namespace, svc.Spec.Selector)) > 0 {
		return true
	}
	for _, d := range s.Deployments {
		if d.Namespace == svc.Namespace && facts.Matches(svc.Spec.Selector, d.Spec.Template.Labels) {
			return true
		}
	}
	for _, d := range s.DaemonSets {
		if d.Namespace == svc.Namespace && facts.Matches(svc.Spec.Selector, d.Spec.Template.Labels) {
			return true
		}
	}
	return false
}

func mismatch(svc *corev1.Service, m miss) checks.Finding {
	severity := checks.Warning // probable
	if svc.Name == m.name || svc.Name == m.value {
		severity = checks.Error
	}
	who := "the pods of " + m.owner.Kind + " " + m.owner.Name
	if m.owner.Kind == "" {
		who = "Pod " + m.name
	}
	has := fmt.Sprintf("%s labelled %s=%s", verb(m.group), m.newKey, m.value)
	if m.newKey == "" {
		has = "have no such label"
		if m.owner.Kind == "" {
			has = "has no such label"
		}
	}
	return checks.Finding{
		Subject: facts.ServiceRef(svc), Severity: severity,
		Message: fmt.Sprintf("selects no pod: its selector says %s=%s, %s %s", m.key, svc.Spec.Selector[m.key], who, has),
		Evidence: []checks.Evidence{
			checks.Quote(facts.ServiceRef(svc).String()+", selector", labelText(svc.Spec.Selector)),
			checks.Quote(m.pod.Ref().String()+", labels", labelText(m.pod.Labels)),
		},
		Remedy: selectorRemedy(svc, m),
	}
}

func selectorRemedy(svc *corev1.Service, m miss) string {
	if m.newKey == "" && len(svc.Spec.Selector) == 1 { // without it the Service would select nothing, and nobody make its endpoints
		return "Set the selector to labels that these pods have."
	}
	return checks.Command("Correct the selector: kubectl -n %s patch service %s --type=merge -p %s", svc.Namespace, svc.Name, patch(m))
}

func verb(g group) string {
	if g.owner.Kind == "" {
		return "is"
	}
	return "are"
}

// patch is the merge patch that corrects the selector; null takes a key away.
func patch(m miss) string {
	selector := map[string]any{m.key: nil}
	if m.newKey != "" {
		selector[m.newKey] = m.value
	}
	data, err := json.Marshal(map[string]any{"spec": map[string]any{"selector": selector}})
	if err != nil {
		return "" // maps of strings marshal
	}
	return string(data)
}
