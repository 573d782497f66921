package service

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Duplicate finds Services whose selector takes in the pods of a workload that does not
// serve their port.
var Duplicate = &checks.Check{
	ID:       "service-duplicate",
	Title:    "No Service takes in pods of a workload that does not serve its port",
	Severity: checks.Warning,
	URL:      "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
	Needs:    []*facts.Source{facts.Services, facts.EndpointSlices, facts.Pods},
	MayUse:   []*facts.Source{facts.Configz},
	ByHand: []string{"kubectl -n NAMESPACE get service SERVICE -o jsonpath='{.spec.selector} {.spec.ports}'",
		"kubectl -n NAMESPACE get pods -l KEY=VALUE -o jsonpath='{range .items[*]}{.metadata.name} {.metadata.ownerReferences[*].name} {.spec.containers[*].ports}{\"\\n\"}{end}'"},
	Run: findDuplicate,
	Doc: `A selector takes in every pod that carries its labels, whatever workload it belongs to. If it is too broad the Service spreads its
connections over pods of several programs, and those that reach the wrong one are refused or answered by something else: the fault comes and
goes, all pods are Ready, and the Service has endpoints.

**How it comes about**: a chart labels all its parts alike, database included, and the Service's selector names only what they have in common
(crossplane-contrib/crossview#136), or leaves out the release (nextcloud/helm#144).

Several workloads behind one Service may be meant: a canary, blue and green. It is told where a Service carries its release in the label
app.kubernetes.io/instance and takes in pods of that and of another one, as with two releases of a chart in one namespace. Else it is told
only where the pods of one workload declare the port that the Service sends to and the Ready pods of another, with other images, declare
ports and not this one. A port need not be declared, so it is a warning. A port that the Service gives by name is told by
service-targetport-mismatch.

**Cure**: add a label to the selector that only the right pods have, such as app.kubernetes.io/component or app.kubernetes.io/instance.`,
}

func findDuplicate(s *facts.Snapshot) []checks.Finding {
	var out []checks.Finding
	for _, svc := range selecting(s) {
		if svc.Spec.ClusterIP == corev1.ClusterIPNone || s.Taken.Sub(svc.CreationTimestamp.Time) < grace {
			continue
		}
		parties := workloads(s, svc)
		if len(parties) < 2 {
			continue
		}
		before := len(out)
		for _, port := range svc.Spec.Ports {
			if f := intruders(svc, port, parties); f != nil {
				out = append(out, *f)
			}
		}
		if f := otherReleases(svc, parties); f != nil && len(out) == before {
			out = append(out, *f)
		}
	}
	return out
}

// workloads returns one pod of each workload that stands behind a Service.
func workloads(s *facts.Snapshot, svc *corev1.Service) []*facts.Pod {
	var out []*facts.Pod
	seen := map[facts.Ref]bool{}
	for _, es := range s.SlicesOf(svc) {
		for i := range es.Endpoints {
			p := s.Pod(es.Namespace, es.Endpoints[i].Pod)
			if es.Endpoints[i].Ready && p != nil && p.Owner.Kind != "" && p.Owner.Kind != "Job" && !seen[p.Owner] {
				seen[p.Owner] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// intruders finds the workloads that do not serve a port which another does.
func intruders(svc *corev1.Service, port corev1.ServicePort, parties []*facts.Pod) *checks.Finding {
	number := targetNumber(port)
	if number == 0 {
		return nil
	}
	serves := func(p *facts.Pod) bool { return declaresNumber(p, number, protocol(port.Protocol)) }
	i := slices.IndexFunc(parties, serves)
	if i < 0 {
		return nil
	}
	var wrong []string
	evidence := []checks.Evidence{
		checks.Quote(facts.ServiceRef(svc).String()+", selector", labelText(svc.Spec.Selector)),
		checks.Quote(parties[i].Ref().String()+", ports of its containers", declared(parties[i])),
	}
	for _, p := range parties {
		if serves(p) || declared(p) == "none" || alike(p, parties[i]) {
			continue
		}
		wrong = append(wrong, p.Owner.Kind+" "+p.Owner.Name)
		evidence = append(evidence, checks.Quote(p.Ref().String()+", ports of its containers", declared(p)))
	}
	if len(wrong) == 0 {
		return nil
	}
	return &checks.Finding{
		Subject:  facts.ServiceRef(svc),
		Message:  fmt.Sprintf("sends a share of port %s to pods of %s, which do not declare port %d; those of %s %s do", portText(port), strings.Join(wrong, ", "), number, parties[i].Owner.Kind, parties[i].Owner.Name),
		Evidence: evidence,
		Remedy:   fmt.Sprintf("Add a label to the selector that only the pods of %s %s have.", parties[i].Owner.Kind, parties[i].Owner.Name),
	}
}

// instance is the label by which charts tell their releases apart.
const instance = "app.kubernetes.io/instance"

// otherReleases finds pods of another release of the chart behind a Service that names its
// own, and has pods of that.
func otherReleases(svc *corev1.Service, parties []*facts.Pod) *checks.Finding {
	own := svc.Labels[instance]
	if own == "" || !slices.ContainsFunc(parties, func(p *facts.Pod) bool { return p.Labels[instance] == own }) {
		return nil // the label may be another tool's
	}
	var wrong []string
	evidence := []checks.Evidence{
		checks.Quote(facts.ServiceRef(svc).String()+", selector", labelText(svc.Spec.Selector)),
		checks.Quote(facts.ServiceRef(svc).String()+", label "+instance, own),
	}
	for _, p := range parties {
		if release := p.Labels[instance]; release != "" && release != own {
			wrong = append(wrong, p.Owner.Kind+" "+p.Owner.Name)
			evidence = append(evidence, checks.Quote(p.Ref().String()+", label "+instance, release))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return &checks.Finding{
		Subject:  facts.ServiceRef(svc),
		Message:  "sends a share of its connections to another release: its selector takes in the pods of " + strings.Join(wrong, ", "),
		Evidence: evidence,
		Remedy: checks.Command("Add the release to the selector, or take a version of the chart that does: kubectl -n %s patch service %s -p %s",
			svc.Namespace, svc.Name, fmt.Sprintf(`{"spec":{"selector":{%q:%q}}}`, instance, own)),
	}
}

func declaresNumber(p *facts.Pod, number int32, proto corev1.Protocol) bool {
	for _, c := range p.Containers {
		if c.Init && !c.Restartable {
			continue
		}
		if slices.ContainsFunc(c.Ports, func(o corev1.ContainerPort) bool { return o.ContainerPort == number && protocol(o.Protocol) == proto }) {
			return true
		}
	}
	return false
}

// alike tells whether two pods run a program in common: another version of the same
// workload, as a canary is.
func alike(a, b *facts.Pod) bool {
	return slices.ContainsFunc(a.Containers, func(x facts.Container) bool {
		return !x.Init && slices.ContainsFunc(b.Containers, func(y facts.Container) bool { return !y.Init && repository(x.Image) == repository(y.Image) })
	})
}

// repository cuts digest and tag off an image.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i]
	}
	return image
}
