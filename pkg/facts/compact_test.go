package facts

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// kiosk is a pod that sets every field which the compact form has.
func kiosk() *corev1.Pod {
	at := metav1.NewTime(time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC))
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", StartedAt: at, FinishedAt: at}}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "kube-system", Name: "kiosk-5d4-x", UID: "u-1", CreationTimestamp: at, Labels: map[string]string{"app": "kiosk", "pod-template-hash": "5d4"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "kiosk-5d4", Controller: ptr.To(true)}},
		},
		Spec: corev1.PodSpec{
			NodeName: "n1", DNSPolicy: corev1.DNSDefault, ServiceAccountName: "clerk", NodeSelector: map[string]string{"disk": "fast"},
			Tolerations:    []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists}},
			Volumes:        []corev1.Volume{{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "prices"}}}}},
			InitContainers: []corev1.Container{{Name: "fetch", Image: "fetch:1"}},
			Containers: []corev1.Container{{Name: "till", Image: "till:1", Command: []string{"/till"}, Args: []string{"-open"},
				Ports:           []corev1.ContainerPort{{Name: "http", ContainerPort: 80, Protocol: corev1.ProtocolTCP}},
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false)}}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.1.2.3"}},
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "till", RestartCount: 3, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}, LastTerminationState: ended}},
		},
	}
}

// Pods that differ in anything share nothing of that: whatever a pool has seen before, a
// pod comes out as it would alone.
func TestPoolTellsPodsApart(t *testing.T) {
	spec := func(change func(*corev1.Container)) func(*corev1.Pod) {
		return func(p *corev1.Pod) { change(&p.Spec.Containers[0]) }
	}
	changes := map[string]func(*corev1.Pod){
		"namespace":         func(p *corev1.Pod) { p.Namespace = "kube-flannel" },
		"label's value":     func(p *corev1.Pod) { p.Labels["app"] = "stand" },
		"label's key":       func(p *corev1.Pod) { p.Labels = map[string]string{"appkiosk": "", "pod-template-hash": "5d4"} },
		"one label less":    func(p *corev1.Pod) { delete(p.Labels, "app") },
		"owner":             func(p *corev1.Pod) { p.OwnerReferences[0].Name = "stand-5d4" },
		"no owner":          func(p *corev1.Pod) { p.OwnerReferences = nil },
		"host network":      func(p *corev1.Pod) { p.Spec.HostNetwork = true },
		"DNS policy":        func(p *corev1.Pod) { p.Spec.DNSPolicy = corev1.DNSClusterFirst },
		"service account":   func(p *corev1.Pod) { p.Spec.ServiceAccountName = "boss" },
		"static":            func(p *corev1.Pod) { p.Annotations = map[string]string{staticPodAnnotation: "file"} },
		"toleration":        func(p *corev1.Pod) { p.Spec.Tolerations[0].Value = "b" },
		"toleration's time": func(p *corev1.Pod) { p.Spec.Tolerations[0].TolerationSeconds = ptr.To(int64(0)) },
		"no toleration":     func(p *corev1.Pod) { p.Spec.Tolerations = nil },
		"node selector":     func(p *corev1.Pod) { p.Spec.NodeSelector["disk"] = "slow" },
		"volume":            func(p *corev1.Pod) { p.Spec.Volumes[0].ConfigMap.Name = "offers" },
		"sidecar": func(p *corev1.Pod) {
			p.Spec.InitContainers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
		},
		"image":            spec(func(c *corev1.Container) { c.Image = "till:2" }),
		"name":             spec(func(c *corev1.Container) { c.Name = "drawer" }),
		"command":          spec(func(c *corev1.Container) { c.Args[0] = "-shut" }),
		"command and args": spec(func(c *corev1.Container) { c.Command, c.Args = []string{"/till-open"}, nil }),
		"port":             spec(func(c *corev1.Container) { c.Ports[0].ContainerPort = 81 }),
		"host port":        spec(func(c *corev1.Container) { c.Ports[0].HostPort = 81 }),
		"protocol":         spec(func(c *corev1.Container) { c.Ports[0].Protocol = corev1.ProtocolUDP }),
		"no port":          spec(func(c *corev1.Container) { c.Ports = nil }),
		"privilege":        spec(func(c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = ptr.To(true) }),
		"no privilege":     spec(func(c *corev1.Container) { c.SecurityContext = nil }),
	}
	seen := newPool()
	base := seen.pod(kiosk())
	if again := seen.pod(kiosk()); again.Template != base.Template || again.Containers[1].ContainerSpec != base.Containers[1].ContainerSpec {
		t.Error("equal pods do not share")
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			in := kiosk()
			change(in)
			got := seen.pod(in)
			if d := cmp.Diff(newPool().pod(in), got); d != "" {
				t.Errorf("alone and after others (-want +got):\n%s", d)
			}
			if reflect.DeepEqual(got, base) {
				t.Error("the compact form does not show the change")
			}
		})
	}
}

// Of an application's pod only what says where it is and how it does is kept; of the
// stack's own all that checks read.
func TestDetailIsForTheStack(t *testing.T) {
	stack := newPool().pod(kiosk())
	if stack.Tolerations == nil || stack.NodeSelector == nil || stack.ConfigMaps == nil || stack.Containers[1].Command == nil || stack.Containers[1].AllowPrivilegeEscalation == nil {
		t.Errorf("of the stack's pod: %+v", stack)
	}
	app := kiosk()
	app.Namespace = "market"
	app.Status.ContainerStatuses[0].LastTerminationState.Terminated.Message = strings.Repeat("é", 1000)
	got := newPool().pod(app)
	if got.Tolerations != nil || got.NodeSelector != nil || got.ConfigMaps != nil || got.Containers[1].Command != nil || got.Containers[1].AllowPrivilegeEscalation != nil {
		t.Errorf("of an application's pod: %+v", got)
	}
	if said := got.Containers[1].Last().Message; said != strings.Repeat("é", keptMessage/2)+"…" {
		t.Errorf("its last words: %q", said)
	}
	for name, change := range map[string]func(*corev1.Pod){
		"host network": func(p *corev1.Pod) { p.Spec.HostNetwork = true },
		"DaemonSet":    func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" },
		"DNS server":   func(p *corev1.Pod) { p.Spec.Containers[0].Image = "coredns:1" },
	} {
		agent := kiosk()
		agent.Namespace = "market"
		change(agent)
		if newPool().pod(agent).Containers[1].Command == nil {
			t.Errorf("%s: the command is gone", name)
		}
	}
}

// A batch keeps nothing of the objects whose next use it allows.
func TestBatchAllowsReuse(t *testing.T) {
	b := NewBatch()
	var p corev1.Pod
	var es discoveryv1.EndpointSlice
	var e corev1.Event
	for i := range 3 {
		pod, name := kiosk(), fmt.Sprintf("kiosk-%d", i)
		pod.Name, pod.Labels["app"], pod.Spec.Containers[0].Ports[0].Name = name, name, name
		slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: name}, Ports: []discoveryv1.EndpointPort{{Name: ptr.To(name)}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{name}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: name}}}}
		event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: name}, InvolvedObject: corev1.ObjectReference{Name: name}, Message: name}
		reuse(t, pod, &p)
		reuse(t, slice, &es)
		reuse(t, event, &e)
		for _, obj := range []any{&p, &es, &e} {
			if err := b.Add(obj); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 3 {
		name := fmt.Sprintf("kiosk-%d", i)
		p, es, e := b.s.Pods[i], b.s.EndpointSlices[i], b.s.Events[i]
		got := []string{p.Name, p.Labels["app"], p.Containers[1].Ports[0].Name, es.Name, *es.Ports[0].Name, es.Endpoints[0].Address, es.Endpoints[0].Pod, e.About.Name, e.Message}
		for _, s := range got {
			if s != name {
				t.Fatalf("object %d: %q", i, got)
			}
		}
	}
}

func reuse[T interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
	Reset()
}](t *testing.T, from, into T) {
	t.Helper()
	raw, err := from.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	into.Reset()
	if err := into.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	clear(raw) // the reader's buffer, too, is used again
}
