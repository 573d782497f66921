package fixes

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/workload"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/plugins"
)

// HostNetworkDNSPolicy lets pods on the host's network ask cluster DNS.
var HostNetworkDNSPolicy = &Fix{
	ID:     "pod-hostnetwork-dnspolicy",
	Title:  "Let pods on the host's network ask cluster DNS",
	For:    []*checks.Check{workload.HostNetworkDNS},
	Risk:   Restarts,
	Settle: endpointsSettle,
	Plan:   planHostNetworkDNSPolicy,
	Doc: `Sets dnsPolicy of the pod template to ClusterFirstWithHostNet: with ClusterFirst the kubelet gives pods on the host's network the node's own
resolver, which knows no Service. Nothing else is changed. The workload's pods are made anew, as its update strategy says.

Refused for pods that no Deployment, DaemonSet or StatefulSet runs (the policy of a pod cannot be changed), and for what cluster DNS
itself stands on, such as the agents of the network plugin: they start before there is any cluster DNS to ask.

Names outside the cluster then go through cluster DNS as well. Helm and GitOps tools bring their template back: correct it in the chart or the
repository too.`,
}

func planHostNetworkDNSPolicy(s *facts.Snapshot, f checks.Finding, _ Params) (Plan, error) {
	if slices.ContainsFunc(plugins.Stack(s), func(p *facts.Pod) bool { return p.Owner == f.Subject || p.Ref() == f.Subject }) {
		return Plan{}, fmt.Errorf("cluster DNS itself stands on %s, which must not wait for it: name the Service by its address there", f.Subject)
	}
	change, template, err := changeTemplate(s, f.Subject)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Changes: []Change{change}, Rollouts: []facts.Ref{f.Subject}}
	if listens(template) && f.Subject.Kind == "Deployment" {
		plan.Warnings = append(plan.Warnings, "Its pods hold ports of their node: unless its strategy is Recreate or there is a node to spare, a new pod waits until an old one is gone.")
	}
	return plan, nil
}

// changeTemplate makes the change of a workload's pod template.
func changeTemplate(s *facts.Snapshot, ref facts.Ref) (Change, *corev1.PodTemplateSpec, error) {
	const apps = "apps/v1"
	named := func(namespace, name string) bool { return namespace == ref.Namespace && name == ref.Name }
	switch ref.Kind {
	case "Deployment":
		if d := s.Deployment(ref.Namespace, ref.Name); d != nil {
			edited := d.DeepCopy()
			edited.Spec.Template.Spec.DNSPolicy = corev1.DNSClusterFirstWithHostNet
			change, err := changeOf(ref.Kind, apps, d, edited)
			return change, &edited.Spec.Template, err
		}
	case "DaemonSet":
		if i := slices.IndexFunc(s.DaemonSets, func(d *appsv1.DaemonSet) bool { return named(d.Namespace, d.Name) }); i >= 0 {
			edited := s.DaemonSets[i].DeepCopy()
			edited.Spec.Template.Spec.DNSPolicy = corev1.DNSClusterFirstWithHostNet
			change, err := changeOf(ref.Kind, apps, s.DaemonSets[i], edited)
			return change, &edited.Spec.Template, err
		}
	case "StatefulSet":
		if i := slices.IndexFunc(s.StatefulSets, func(d *appsv1.StatefulSet) bool { return named(d.Namespace, d.Name) }); i >= 0 {
			edited := s.StatefulSets[i].DeepCopy()
			edited.Spec.Template.Spec.DNSPolicy = corev1.DNSClusterFirstWithHostNet
			change, err := changeOf(ref.Kind, apps, s.StatefulSets[i], edited)
			return change, &edited.Spec.Template, err
		}
	default:
		return Change{}, nil, fmt.Errorf("%s is run by no Deployment, DaemonSet or StatefulSet, and dnsPolicy of a pod cannot be changed: set ClusterFirstWithHostNet where it comes from and make it anew", ref)
	}
	return Change{}, nil, fmt.Errorf("%s was not read", ref)
}

// listens tells whether containers of a template hold ports of their node.
func listens(template *corev1.PodTemplateSpec) bool {
	return slices.ContainsFunc(template.Spec.Containers, func(c corev1.Container) bool { return len(c.Ports) > 0 })
}
