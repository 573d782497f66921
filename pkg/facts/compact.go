package facts

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// staticPodAnnotation marks the mirror of a pod that a kubelet runs from a file
	// (k8s.io/kubernetes/pkg/kubelet/types, ConfigSourceAnnotationKey).
	staticPodAnnotation = "kubernetes.io/config.source"

	// keptMessage is what is kept of what an application's container said when it ended,
	// in bytes. The API allows 4 KiB, and thousands of pods may say as much.
	keptMessage = 256
)

// pool turns API objects into their compact forms and lets them share what they have in
// common. What it is given may be used again for the next object, as far as its fields
// are set anew and not overwritten in place.
type pool struct {
	strings   map[string]string
	templates map[keySum]*Template
	specs     map[keySum]*ContainerSpec
	key       []byte
}

func newPool() *pool {
	return &pool{strings: map[string]string{}, templates: map[keySum]*Template{}, specs: map[keySum]*ContainerSpec{}}
}

// one returns the string that stands for all equal ones.
func (p *pool) one(s string) string {
	if known, ok := p.strings[s]; ok {
		return known
	}
	p.strings[s] = s
	return s
}

// table returns a table of the same contents that shares its strings.
func (p *pool) table(of map[string]string) map[string]string {
	if of == nil {
		return nil
	}
	out := make(map[string]string, len(of))
	for k, v := range of {
		out[p.one(k)] = p.one(v)
	}
	return out
}

// detailed tells whether a pod may be part of the network stack: one of the system
// namespaces, on the host's network, of a DaemonSet, or with the image of a DNS server.
func detailed(in *corev1.Pod, owner Ref) bool {
	return SystemNamespace(in.Namespace) || in.Spec.HostNetwork || owner.Kind == "DaemonSet" ||
		slices.ContainsFunc(in.Spec.Containers, func(c corev1.Container) bool { return DNSImage(c.Image) })
}

func (p *pool) pod(in *corev1.Pod) *Pod {
	owner := podOwner(in)
	detail := detailed(in, owner)
	out := &Pod{
		Namespace: p.one(in.Namespace), Name: in.Name,
		Template: p.template(in, owner, detail), Node: p.one(in.Spec.NodeName),
		Phase:   corev1.PodPhase(p.one(string(in.Status.Phase))),
		Created: stamp(in.CreationTimestamp), Deleting: in.DeletionTimestamp != nil,
	}
	var rare Rare
	if detail {
		rare.UID = string(in.UID)
	}
	out.JoinedIPs = in.Status.PodIP
	for i := 1; i < len(in.Status.PodIPs); i++ {
		out.JoinedIPs += "," + in.Status.PodIPs[i].IP
	}
	if out.JoinedIPs == "" && len(in.Status.PodIPs) > 0 {
		out.JoinedIPs = in.Status.PodIPs[0].IP
	}
	for i := range in.Status.Conditions {
		switch c := &in.Status.Conditions[i]; c.Type {
		case corev1.PodReady:
			out.Ready, out.ReadySince = c.Status == corev1.ConditionTrue, stamp(c.LastTransitionTime)
		case corev1.PodScheduled:
			if c.Status == corev1.ConditionFalse {
				rare.Unschedulable = p.one(c.Message)
			}
		}
	}
	if rare != (Rare{}) {
		out.Rare = &rare
	}
	out.Containers = p.containers(in, detail)
	return out
}

func (p *pool) template(in *corev1.Pod, owner Ref, detail bool) *Template {
	t := Template{
		Labels: in.Labels, Owner: owner, HostNetwork: in.Spec.HostNetwork, DNSPolicy: in.Spec.DNSPolicy,
		DNSConfig: in.Spec.DNSConfig, Subdomain: in.Spec.Subdomain, ServiceAccount: in.Spec.ServiceAccountName, Static: in.Annotations[staticPodAnnotation] == "file",
	}
	if detail {
		t.Tolerations, t.NodeSelector = in.Spec.Tolerations, in.Spec.NodeSelector
		for i := range in.Spec.Volumes {
			if cm := in.Spec.Volumes[i].ConfigMap; cm != nil {
				t.ConfigMaps = append(t.ConfigMaps, cm.Name)
			}
		}
	}
	k := keyOf(p.key[:0])
	k.table(t.Labels)
	k.text(owner.Kind, owner.Namespace, owner.Name, string(t.DNSPolicy), t.Subdomain, t.ServiceAccount)
	k.dnsConfig(t.DNSConfig)
	k.flags(t.HostNetwork, t.Static)
	k.number(len(t.Tolerations))
	for i := range t.Tolerations {
		k.toleration(&t.Tolerations[i])
	}
	k.table(t.NodeSelector)
	k.text(t.ConfigMaps...)
	p.key = k
	sum := k.sum()
	if known := p.templates[sum]; known != nil {
		return known
	}
	t.Owner.Namespace, t.Owner.Kind, t.Labels = p.one(t.Owner.Namespace), p.one(t.Owner.Kind), p.table(t.Labels)
	shared := t
	p.templates[sum] = &shared
	return &shared
}

func (p *pool) containers(in *corev1.Pod, detail bool) []Container {
	if len(in.Spec.InitContainers)+len(in.Spec.Containers) == 0 {
		return nil
	}
	out := make([]Container, 0, len(in.Spec.InitContainers)+len(in.Spec.Containers))
	for i := range in.Spec.InitContainers {
		c := &in.Spec.InitContainers[i]
		restartable := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		spec := p.spec(c, ContainerSpec{Init: true, Restartable: restartable}, detail)
		out = append(out, p.container(spec, in.Status.InitContainerStatuses, detail))
	}
	for i := range in.Spec.Containers {
		spec := p.spec(&in.Spec.Containers[i], ContainerSpec{}, detail)
		out = append(out, p.container(spec, in.Status.ContainerStatuses, detail))
	}
	return out
}

// spec completes what is known of a container already and returns the shared form.
func (p *pool) spec(in *corev1.Container, c ContainerSpec, detail bool) *ContainerSpec {
	c.Name, c.Image, c.Ports = in.Name, in.Image, in.Ports
	k := keyOf(p.key[:0])
	k.text(c.Name, c.Image)
	k.flags(c.Init, c.Restartable)
	k.number(len(c.Ports))
	for i := range c.Ports {
		k.port(&c.Ports[i])
	}
	if detail {
		c.Command = slices.Concat(in.Command, in.Args)
		if sc := in.SecurityContext; sc != nil {
			c.AllowPrivilegeEscalation = sc.AllowPrivilegeEscalation
		}
		k.text(c.Command...)
		k.optional(c.AllowPrivilegeEscalation)
	}
	p.key = k
	sum := k.sum()
	if known := p.specs[sum]; known != nil {
		return known
	}
	shared := c
	p.specs[sum] = &shared
	return &shared
}

func (p *pool) container(spec *ContainerSpec, statuses []corev1.ContainerStatus, detail bool) Container {
	c := Container{ContainerSpec: spec}
	for i := range statuses {
		if st := &statuses[i]; st.Name == spec.Name {
			c.Ready, c.Restarts = st.Ready, st.RestartCount
			c.State = p.state(&st.State, detail)
			if last := p.state(&st.LastTerminationState, detail); last != (State{}) {
				c.Ended = &last
			}
		}
	}
	return c
}

func (p *pool) state(in *corev1.ContainerState, detail bool) State {
	switch {
	case in.Waiting != nil:
		return State{Phase: Waiting, Reason: p.one(in.Waiting.Reason), Message: message(in.Waiting.Message, detail)}
	case in.Running != nil:
		return State{Phase: Running, Started: stamp(in.Running.StartedAt)}
	case in.Terminated != nil:
		t := in.Terminated
		return State{Phase: Terminated, Reason: p.one(t.Reason), Message: message(t.Message, detail), ExitCode: t.ExitCode,
			Started: stamp(t.StartedAt), Finished: stamp(t.FinishedAt)}
	}
	return State{}
}

func message(text string, whole bool) string {
	if whole || len(text) <= keptMessage {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:keptMessage]), "") + "…"
}

// podOwner names the controller. A Deployment's ReplicaSet is called after it with the
// pod-template-hash appended, so the Deployment is known without reading ReplicaSets.
func podOwner(in *corev1.Pod) Ref {
	owner := metav1.GetControllerOfNoCopy(in)
	if owner == nil {
		return Ref{}
	}
	ref := Ref{Kind: owner.Kind, Namespace: in.Namespace, Name: owner.Name}
	if owner.Kind == "Node" {
		ref.Namespace = ""
	}
	hash := in.Labels["pod-template-hash"]
	n := len(ref.Name) - len(hash) - 1
	if owner.Kind == "ReplicaSet" && hash != "" && n > 0 && ref.Name[n] == '-' && ref.Name[n+1:] == hash {
		ref.Kind, ref.Name = "Deployment", ref.Name[:n]
	}
	return ref
}

func (p *pool) endpointSlice(in *discoveryv1.EndpointSlice) *EndpointSlice {
	out := &EndpointSlice{
		Namespace: p.one(in.Namespace), Name: in.Name, Service: p.one(in.Labels[discoveryv1.LabelServiceName]),
		ManagedBy: p.one(in.Labels[discoveryv1.LabelManagedBy]), Ports: in.Ports,
	}
	if len(in.Endpoints) > 0 {
		out.Endpoints = make([]Endpoint, len(in.Endpoints))
	}
	for i := range in.Endpoints {
		out.Endpoints[i] = p.endpoint(&in.Endpoints[i])
	}
	// A slice always has an address type; it is not among the Fields that are decoded of a list.
	if in.Namespace == metav1.NamespaceDefault && out.Service == "kubernetes" && in.Name != out.Service && in.AddressType != "" {
		out.Whole = in.DeepCopy()
	}
	return out
}

func (p *pool) endpoint(in *discoveryv1.Endpoint) Endpoint {
	ready := in.Conditions.Ready
	out := Endpoint{Ready: ready == nil || *ready, Terminating: in.Conditions.Terminating != nil && *in.Conditions.Terminating}
	if len(in.Addresses) > 0 {
		out.Address = in.Addresses[0]
	}
	if in.NodeName != nil {
		out.Node = p.one(*in.NodeName)
	}
	if t := in.TargetRef; t != nil && t.Kind == "Pod" {
		out.Pod = t.Name
	}
	return out
}

func (p *pool) event(in *corev1.Event) *Event {
	o := &in.InvolvedObject
	return &Event{
		Namespace: p.one(in.Namespace),
		About:     Ref{Kind: p.one(o.Kind), Namespace: p.one(o.Namespace), Name: o.Name},
		Type:      p.one(in.Type), Reason: p.one(in.Reason), Message: in.Message, Seen: stamp(metav1.NewTime(eventTime(in))), Count: eventCount(in),
		Node: p.one(in.Source.Host),
	}
}

// eventCount follows the two forms in which events are counted.
func eventCount(e *corev1.Event) int32 {
	if e.Series != nil {
		return max(e.Series.Count, 1)
	}
	return max(e.Count, 1)
}
