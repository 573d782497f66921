package facts

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// staticPodAnnotation marks the mirror of a pod that a kubelet runs from a file
// (k8s.io/kubernetes/pkg/kubelet/types, ConfigSourceAnnotationKey).
const staticPodAnnotation = "kubernetes.io/config.source"

// Pod is a pod in the compact form that checks read. There may be 150,000 of them, so
// it holds only what some check asks for.
type Pod struct {
	Namespace, Name, UID string

	Labels         map[string]string
	Owner          Ref // the controller; the Deployment, where a ReplicaSet stands between
	Node           string
	IPs            []string
	HostNetwork    bool
	DNSPolicy      corev1.DNSPolicy
	ServiceAccount string
	Phase          corev1.PodPhase
	Created        time.Time
	Deleting       bool
	Static         bool // run by a kubelet from a file; the API object is a mirror

	Ready         bool
	ReadySince    time.Time // when Ready last changed; zero where unknown
	Unschedulable string    // the scheduler's message while no node is found

	Tolerations  []corev1.Toleration
	NodeSelector map[string]string
	ConfigMaps   []string // mounted as volumes
	Containers   []Container
}

// Container is one container of a Pod with its state.
type Container struct {
	Name, Image string
	Init        bool // an init container; a sidecar is one whose Restartable is set
	Restartable bool
	Ports       []corev1.ContainerPort
	Command     []string // command and args

	// AllowPrivilegeEscalation as it stands in the security context, nil where unset.
	AllowPrivilegeEscalation *bool

	Ready    bool
	Restarts int
	State    State
	Last     State // how the instance before this one ended; zero where there was none
}

// State is where a container is in its life.
type State struct {
	Phase    StatePhase
	Reason   string
	Message  string
	ExitCode int
	Started  time.Time
	Finished time.Time
}

// StatePhase is one of the three states that the API knows, or none.
type StatePhase string

// The phases of a container's State.
const (
	Waiting    StatePhase = "waiting"
	Running    StatePhase = "running"
	Terminated StatePhase = "terminated"
)

// Ref names the pod.
func (p *Pod) Ref() Ref { return Ref{Kind: "Pod", Namespace: p.Namespace, Name: p.Name} }

// Finished tells whether the pod has ended for good and is expected to serve nothing.
func (p *Pod) Finished() bool { return p.Phase == corev1.PodSucceeded || p.Phase == corev1.PodFailed }

// Crashing returns the first container that ended with an error and is being started
// again, or nil. Both states that kubectl shows are covered: Error right after the
// exit and CrashLoopBackOff while waiting.
func (p *Pod) Crashing() *Container {
	for i := range p.Containers {
		c := &p.Containers[i]
		exited := c.State.Phase == Terminated && c.State.ExitCode != 0 && !p.Finished()
		if exited || c.State.Phase == Waiting && c.State.Reason == "CrashLoopBackOff" {
			return c
		}
	}
	return nil
}

// Unsettled tells whether a container was started again after an error less than a while
// ago. Ready as it may be, that can be the moment between two crashes.
func (p *Pod) Unsettled(now time.Time, while time.Duration) bool {
	return slices.ContainsFunc(p.Containers, func(c Container) bool {
		return c.State.Phase == Running && c.Last.Phase == Terminated && c.Last.ExitCode != 0 && now.Sub(c.State.Started) < while
	})
}

// Trouble says in a few words why the pod is not Ready, as `kubectl get pods` would.
func (p *Pod) Trouble() string {
	for _, c := range p.Containers {
		switch {
		case c.State.Phase == Waiting && c.State.Reason != "" && c.State.Reason != "PodInitializing":
			return c.State.Reason
		case c.State.Phase == Terminated && !c.Init && c.State.Reason != "" && c.State.ExitCode != 0:
			return c.State.Reason
		}
	}
	if p.Unschedulable != "" {
		return "Unschedulable"
	}
	if p.Phase != corev1.PodRunning {
		return string(p.Phase)
	}
	for _, c := range p.Containers {
		if c.Last.Reason == "OOMKilled" {
			return "running but not Ready, OOMKilled before"
		}
	}
	return "running but not Ready"
}

// Compact turns an API pod into the compact form.
func Compact(in *corev1.Pod) *Pod {
	p := &Pod{
		Namespace: in.Namespace, Name: in.Name, UID: string(in.UID),
		Labels: in.Labels, Owner: podOwner(in), Node: in.Spec.NodeName,
		HostNetwork: in.Spec.HostNetwork, DNSPolicy: in.Spec.DNSPolicy,
		ServiceAccount: in.Spec.ServiceAccountName, Phase: in.Status.Phase,
		Created: in.CreationTimestamp.Time, Deleting: in.DeletionTimestamp != nil,
		Static:      in.Annotations[staticPodAnnotation] == "file",
		Tolerations: in.Spec.Tolerations, NodeSelector: in.Spec.NodeSelector,
	}
	for _, ip := range in.Status.PodIPs {
		p.IPs = append(p.IPs, ip.IP)
	}
	if len(p.IPs) == 0 && in.Status.PodIP != "" {
		p.IPs = []string{in.Status.PodIP}
	}
	for _, c := range in.Status.Conditions {
		switch c.Type {
		case corev1.PodReady:
			p.Ready, p.ReadySince = c.Status == corev1.ConditionTrue, c.LastTransitionTime.Time
		case corev1.PodScheduled:
			if c.Status == corev1.ConditionFalse {
				p.Unschedulable = c.Message
			}
		}
	}
	for _, v := range in.Spec.Volumes {
		if v.ConfigMap != nil {
			p.ConfigMaps = append(p.ConfigMaps, v.ConfigMap.Name)
		}
	}
	p.Containers = compactContainers(in)
	return p
}

func compactContainers(in *corev1.Pod) []Container {
	out := make([]Container, 0, len(in.Spec.InitContainers)+len(in.Spec.Containers))
	for i := range in.Spec.InitContainers {
		c := compactContainer(&in.Spec.InitContainers[i], in.Status.InitContainerStatuses)
		c.Init = true
		policy := in.Spec.InitContainers[i].RestartPolicy
		c.Restartable = policy != nil && *policy == corev1.ContainerRestartPolicyAlways
		out = append(out, c)
	}
	for i := range in.Spec.Containers {
		out = append(out, compactContainer(&in.Spec.Containers[i], in.Status.ContainerStatuses))
	}
	return out
}

func compactContainer(spec *corev1.Container, statuses []corev1.ContainerStatus) Container {
	c := Container{Name: spec.Name, Image: spec.Image, Ports: spec.Ports}
	c.Command = append(append(c.Command, spec.Command...), spec.Args...)
	if sc := spec.SecurityContext; sc != nil {
		c.AllowPrivilegeEscalation = sc.AllowPrivilegeEscalation
	}
	for i := range statuses {
		if st := &statuses[i]; st.Name == spec.Name {
			c.Ready, c.Restarts = st.Ready, int(st.RestartCount)
			c.State, c.Last = compactState(st.State), compactState(st.LastTerminationState)
		}
	}
	return c
}

func compactState(in corev1.ContainerState) State {
	switch {
	case in.Waiting != nil:
		return State{Phase: Waiting, Reason: in.Waiting.Reason, Message: in.Waiting.Message}
	case in.Running != nil:
		return State{Phase: Running, Started: in.Running.StartedAt.Time}
	case in.Terminated != nil:
		t := in.Terminated
		return State{Phase: Terminated, Reason: t.Reason, Message: t.Message, ExitCode: int(t.ExitCode),
			Started: t.StartedAt.Time, Finished: t.FinishedAt.Time}
	}
	return State{}
}

// podOwner names the controller. A Deployment's ReplicaSet is called after it with the
// pod-template-hash appended, so the Deployment is known without reading ReplicaSets.
func podOwner(in *corev1.Pod) Ref {
	owner := metav1.GetControllerOf(in)
	if owner == nil {
		return Ref{}
	}
	ref := Ref{Kind: owner.Kind, Namespace: in.Namespace, Name: owner.Name}
	if owner.Kind == "Node" {
		ref.Namespace = ""
	}
	hash := "-" + in.Labels["pod-template-hash"]
	if n := len(ref.Name) - len(hash); owner.Kind == "ReplicaSet" && len(hash) > 1 && n > 0 && ref.Name[n:] == hash {
		ref.Kind, ref.Name = "Deployment", ref.Name[:n]
	}
	return ref
}
