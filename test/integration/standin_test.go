package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// loopLine is what CoreDNS 1.14 logs before it exits (captured; see examples/).
const loopLine = `[FATAL] plugin/loop: Loop (127.0.0.1:33321 -> :53) detected for zone ".", see https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO 1764477767561116876.3604017220692778973."`

// nodes is a stand-in for the scheduler and the kubelets' status reports: it binds
// pods to a node and reports for them what real CoreDNS pods would come to with the
// Corefile of that moment. A pod whose Corefile forwards to /etc/resolv.conf crashes.
type nodes struct {
	p        api
	mu       sync.Mutex
	pods     map[string]bool // "namespace/name" seen crashing
	hopeless bool
}

// run reports until the test ends.
func (n *nodes) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			n.step(ctx)
			return false, nil
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// step does one round; what fails now is done in the next.
func (n *nodes) step(ctx context.Context) {
	pods, err := n.p.Client.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	cm, err := n.p.Client.CoreV1().ConfigMaps("kube-system").Get(ctx, "coredns", metav1.GetOptions{})
	if err != nil {
		return
	}
	loops := n.isHopeless() || strings.Contains(cm.Data["Corefile"], "/etc/resolv.conf")
	for i := range pods.Items {
		n.report(ctx, &pods.Items[i], loops)
	}
}

func (n *nodes) report(ctx context.Context, pod *corev1.Pod, loops bool) {
	client := n.p.Client.CoreV1().Pods(pod.Namespace)
	switch {
	case pod.DeletionTimestamp != nil:
		now := int64(0)
		_ = client.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		return
	case pod.Spec.NodeName == "":
		_ = client.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: "worker-a"}}, metav1.CreateOptions{})
		return
	}
	status := running(pod)
	if loops {
		status = crashing(pod)
		n.mu.Lock()
		n.pods[pod.Namespace+"/"+pod.Name] = true
		n.mu.Unlock()
	}
	if len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].Ready == !loops {
		return
	}
	pod.Status = status
	_, _ = client.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
}

func (n *nodes) isHopeless() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hopeless
}

// makeHopeless lets every pod crash from now on, whatever its Corefile says.
func (n *nodes) makeHopeless() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hopeless = true
}

// logs is what the kubelets answer: the loop for pods that crashed, nothing for others.
func (n *nodes) logs(namespace, pod, _ string, _ bool) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pods[namespace+"/"+pod] {
		return ".:53\nCoreDNS-1.14.6\n" + loopLine + "\n", true
	}
	return "", true
}

func running(pod *corev1.Pod) corev1.PodStatus {
	started := metav1.Now()
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "10.244.0.7", PodIPs: []corev1.PodIP{{IP: "10.244.0.7"}}, HostIP: "10.77.0.11",
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: started},
			{Type: corev1.ContainersReady, Status: corev1.ConditionTrue, LastTransitionTime: started},
		},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		}},
	}
}

func crashing(pod *corev1.Pod) corev1.PodStatus {
	status := running(pod)
	for i := range status.Conditions {
		status.Conditions[i].Status, status.Conditions[i].Reason = corev1.ConditionFalse, "ContainersNotReady"
	}
	c := &status.ContainerStatuses[0]
	c.Ready, c.RestartCount = false, 3
	c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 40s restarting failed container"}}
	c.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", FinishedAt: metav1.Now()}}
	return status
}

// broken starts a control plane with CoreDNS in a loop, and returns it when the cluster
// shows it.
func broken(t *testing.T) (api, *nodes) {
	t.Helper()
	p := start(t)
	p.loadObjects(t, "testdata/coredns.yaml")
	n := &nodes{p: p, pods: map[string]bool{}}
	kubelet{logs: n.logs, configz: func(string) (string, bool) {
		return `{"kubeletconfig":{"clusterDNS":["10.96.0.10"],"clusterDomain":"cluster.local","resolvConf":"/etc/resolv.conf"}}`, true
	}}.serve(t)
	n.run(t)
	await(t, "a crashing CoreDNS pod", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.pods) > 0
	})
	return p, n
}

// await waits for a condition, at most half a minute.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatal(fmt.Errorf("waiting for %s: %w", what, err))
	}
}
