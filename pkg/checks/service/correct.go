package service

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// CorrectedSelector returns the selector of a Service with the one label corrected that
// keeps it from the pods which it is meant for, and their workload; or why it cannot be
// told. certain is whether the Service is called like them.
func CorrectedSelector(s *facts.Snapshot, svc *corev1.Service) (selector map[string]string, of facts.Ref, certain bool, err error) {
	m, unique := meant(s, svc)
	if !unique {
		return nil, of, false, errors.New("no single correction of the selector stands out")
	}
	of = cmp.Or(m.owner, m.pod.Ref())
	selector = maps.Clone(svc.Spec.Selector)
	delete(selector, m.key)
	if m.newKey != "" {
		selector[m.newKey] = m.value
	}
	if len(selector) == 0 {
		delete(m.labels, "pod-template-hash")
		return nil, of, false, fmt.Errorf("%s=%s is all that the selector says, and %s has no such label: which of its labels (%s) the Service should go by only you can say",
			m.key, svc.Spec.Selector[m.key], of, labelText(m.labels))
	}
	for _, g := range groups(s, svc.Namespace) {
		o, near := misses(svc, g)
		alike := near && o.key == m.key && o.newKey == m.newKey && o.value == m.value && plausible(s, svc, o)
		if facts.Matches(selector, g.pod.Labels) && !alike {
			return nil, of, false, fmt.Errorf("the selector %s would take in %s too, which is not like %s", labelText(selector), cmp.Or(g.owner, g.pod.Ref()), of)
		}
	}
	return selector, of, svc.Name == m.name || svc.Name == m.value, nil
}

// CorrectedPorts returns the ports of a Service with every targetPort replaced that names
// a port which none of its pods has, by the one that stands out; or why none does.
func CorrectedPorts(s *facts.Snapshot, svc *corev1.Service) ([]corev1.ServicePort, error) {
	pods := served(s, svc)
	out := slices.Clone(svc.Spec.Ports)
	for i := range out {
		port := &out[i]
		if port.TargetPort.Type != intstr.String || len(pods) == 0 || judge(s, svc, *port, pods) == nil {
			continue
		}
		if slices.ContainsFunc(pods, func(p *facts.Pod) bool { return declares(p, port.TargetPort.StrVal, protocol(port.Protocol)) }) {
			return nil, fmt.Errorf("port %s: some of the pods have a port named %q and others do not: give it that name in their pod template, or narrow the Service's selector",
				portText(*port), port.TargetPort.StrVal)
		}
		to, err := standsOut(svc, *port, pods)
		if err != nil {
			return nil, err
		}
		port.TargetPort = to
	}
	return out, nil
}

// besides are names of ports that a program has beside the one it is there for.
var besides = regexp.MustCompile(`(?i)metric|prom|health|probe|live|ready|admin|debug|pprof|status|monitor`)

// standsOut returns the port of the pods that a Service's port is meant for: the only one
// of its protocol that all of them declare and that no other port of the Service leads to,
// or the only one whose name is a slip of the pen away. A port for metrics or health is
// not taken for the one that a program is there for.
func standsOut(svc *corev1.Service, port corev1.ServicePort, pods []*facts.Pod) (intstr.IntOrString, error) {
	var all, near []corev1.ContainerPort
	for _, c := range declaredBy(pods, protocol(port.Protocol)) {
		beside := besides.MatchString(c.Name) && !besides.MatchString(port.Name+" "+port.TargetPort.StrVal)
		if leadsTo(svc, c) || beside {
			continue
		}
		if slip(port.TargetPort.StrVal, c.Name) {
			near = append(near, c)
		}
		all = append(all, c)
	}
	found := all
	if len(near) > 0 {
		found = near
	}
	switch {
	case len(found) == 1 && found[0].Name != "":
		return intstr.FromString(found[0].Name), nil
	case len(found) == 1:
		return intstr.FromInt32(found[0].ContainerPort), nil
	}
	return intstr.IntOrString{}, fmt.Errorf("port %s: which port of the pods is meant by %q is not clear (left of what all of them declare for %s: %s); set its targetPort by hand",
		portText(port), port.TargetPort.StrVal, protocol(port.Protocol), portNames(found))
}

// declaredBy returns the ports of a protocol that all of the pods declare by the same name
// and number.
func declaredBy(pods []*facts.Pod, proto corev1.Protocol) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for i, p := range pods {
		var its []corev1.ContainerPort
		for _, c := range p.Containers {
			if c.Init && !c.Restartable {
				continue
			}
			for _, port := range c.Ports {
				if protocol(port.Protocol) == proto {
					its = append(its, corev1.ContainerPort{Name: port.Name, ContainerPort: port.ContainerPort})
				}
			}
		}
		if i == 0 {
			out = its
		}
		out = slices.DeleteFunc(out, func(port corev1.ContainerPort) bool { return !slices.Contains(its, port) })
	}
	return out
}

// leadsTo tells whether a port of the Service leads to this port of its pods.
func leadsTo(svc *corev1.Service, to corev1.ContainerPort) bool {
	return slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		if p.TargetPort.Type == intstr.String {
			return p.TargetPort.StrVal == to.Name
		}
		return cmp.Or(p.TargetPort.IntVal, p.Port) == to.ContainerPort
	})
}

func portNames(ports []corev1.ContainerPort) string {
	var out []string
	for _, p := range ports {
		out = append(out, fmt.Sprintf("%s %d", cmp.Or(p.Name, "unnamed"), p.ContainerPort))
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}
