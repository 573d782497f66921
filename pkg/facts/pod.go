package facts

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod is a pod in the compact form that checks read. There may be 150,000 of them, so
// it holds only what some check asks for, and what pods have in common stands in memory
// once.
type Pod struct {
	Namespace, Name string

	*Template
	Node      string
	JoinedIPs string // parted by commas, see IPs
	Phase     corev1.PodPhase
	Created   Stamp

	Ready, Deleting bool
	ReadySince      Stamp // when Ready last changed; 0 where unknown

	Containers []Container
	Rare       *Rare // nil where there is nothing of it
}

// Rare is what few pods have.
type Rare struct {
	UID           string // known only of pods that may belong to the network stack, see detailed
	Unschedulable string // the scheduler's message while no node is found
}

// UID returns the pod's UID, or "" where it is not known.
func (p *Pod) UID() string {
	if p.Rare == nil {
		return ""
	}
	return p.Rare.UID
}

// Unschedulable returns the scheduler's message while no node is found, or "".
func (p *Pod) Unschedulable() string {
	if p.Rare == nil {
		return ""
	}
	return p.Rare.Unschedulable
}

// Template is what the pods of one owner have in common. It is shared by them and must
// not be changed.
type Template struct {
	Labels         map[string]string
	Owner          Ref // the controller; the Deployment, where a ReplicaSet stands between
	HostNetwork    bool
	DNSPolicy      corev1.DNSPolicy
	DNSConfig      *corev1.PodDNSConfig // nil where there is none
	Subdomain      string
	ServiceAccount string
	Static         bool // run by a kubelet from a file; the API object is a mirror

	// Known only of pods that may belong to the network stack, see detailed.
	Tolerations  []corev1.Toleration
	NodeSelector map[string]string
	ConfigMaps   []string // mounted as volumes
}

// Container is one container of a Pod with its state.
type Container struct {
	*ContainerSpec
	Ready    bool
	Restarts int32
	State    State
	Ended    *State // how the instance before this one ended; nil where there was none
}

// Last returns how the instance before this one ended; the zero State where there was
// none.
func (c *Container) Last() State {
	if c.Ended == nil {
		return State{}
	}
	return *c.Ended
}

// ContainerSpec is what the containers of one template have in common. It is shared by
// them and must not be changed.
type ContainerSpec struct {
	Name, Image string
	Init        bool // an init container; a sidecar is one whose Restartable is set
	Restartable bool
	Ports       []corev1.ContainerPort

	// Known only of pods that may belong to the network stack, see detailed.
	Command                  []string // command and args
	AllowPrivilegeEscalation *bool    // as in the security context, nil where unset
}

// State is where a container is in its life.
type State struct {
	Phase    StatePhase
	ExitCode int32
	Reason   string
	Message  string
	Started  Stamp
	Finished Stamp
}

// StatePhase is one of the three states that the API knows, or none.
type StatePhase uint8

// The phases of a container's State.
const (
	Waiting StatePhase = iota + 1
	Running
	Terminated
)

// Stamp is a moment in seconds since 1970, which is as exact as the API tells it; 0 is
// none.
type Stamp int64

func stamp(t metav1.Time) Stamp {
	if t.IsZero() {
		return 0
	}
	return Stamp(t.Unix())
}

// Time returns the moment in UTC, and the zero time for none.
func (s Stamp) Time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// Ref names the pod.
func (p *Pod) Ref() Ref { return Ref{Kind: "Pod", Namespace: p.Namespace, Name: p.Name} }

// IPs returns the pod's addresses, one for each family.
func (p *Pod) IPs() []string {
	if p.JoinedIPs == "" {
		return nil
	}
	return strings.Split(p.JoinedIPs, ",")
}

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
		return c.State.Phase == Running && c.Last().Phase == Terminated && c.Last().ExitCode != 0 && now.Sub(c.State.Started.Time()) < while
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
	if p.Unschedulable() != "" {
		return "Unschedulable"
	}
	if p.Phase != corev1.PodRunning {
		return string(p.Phase)
	}
	for _, c := range p.Containers {
		if c.Last().Reason == "OOMKilled" {
			return "running but not Ready, OOMKilled before"
		}
	}
	return "running but not Ready"
}
