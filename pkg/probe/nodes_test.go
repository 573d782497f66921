package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// TestLocal sends names that a hostile node could.
func TestLocal(t *testing.T) {
	for name, want := range map[string]bool{
		"/etc/resolv.conf": true, "/proc/sys/net/ipv4/ip_forward": true, "/ls/opt/cni/bin": true,
		"/": false, "": false, "etc/passwd": false, "/../../home/me/.bashrc": false, "/a/../b": false, "/a//b": false, `/a\..\b`: false,
		"/a\x00b": false, "/" + strings.Repeat("a", 600): false, "/a/.": false,
	} {
		if local(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}

func node(name string, change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux"},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
	if change != nil {
		change(n)
	}
	return n
}

// TestChoose leaves out what cannot run a pod, and says why.
func TestChoose(t *testing.T) {
	s := &facts.Snapshot{Nodes: []*corev1.Node{
		node("ready", nil),
		node("no-network", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }),
		node("cordoned", func(n *corev1.Node) { n.Spec.Unschedulable = true }),
		node("silent", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }),
		node("windows", func(n *corev1.Node) { n.Status.NodeInfo.OperatingSystem = "windows" }),
		node("fargate", func(n *corev1.Node) { n.Labels["eks.amazonaws.com/compute-type"] = "fargate" }),
		node("bare", func(n *corev1.Node) { n.Labels = nil }),
	}}
	got, err := choose(s, nil)
	if err != nil || len(got.nodes) != 3 || len(got.left) != 4 {
		t.Errorf("%v: chosen %d, left out %v", err, len(got.nodes), got.left)
	}
	if got, _ = choose(s, []string{"cordoned", "silent"}); len(got.nodes) != 1 || got.unasked != 5 || len(got.left) != 1 || got.left["silent"] == "" {
		t.Errorf("chosen %d, left out %v", len(got.nodes), got.left)
	}
	if _, err = choose(s, []string{"elsewhere"}); err == nil || err.Error() != "--nodes elsewhere: the cluster has no such node" {
		t.Errorf("%v", err)
	}
}

// TestSample takes one of each kind before a second of any.
func TestSample(t *testing.T) {
	var nodes []*corev1.Node
	for i := range 40 {
		nodes = append(nodes, node(fmt.Sprintf("many-%02d", i), func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = "z1" }))
	}
	nodes = append(nodes, node("rare-kernel", func(n *corev1.Node) { n.Status.NodeInfo.KernelVersion = "4.18.0" }),
		node("other-zone", func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = "z2" }))
	got := map[string]bool{}
	for _, n := range sample(nodes, false) {
		got[n.Name] = true
	}
	if len(got) != mostSampled || !got["rare-kernel"] || !got["other-zone"] {
		t.Errorf("%v", got)
	}
	if len(sample(nodes, true)) != len(nodes) {
		t.Error("nodes that were named are not all taken")
	}
}

// TestPodsAreSmall holds what the pods may do against what is promised of them.
func TestPodsAreSmall(t *testing.T) {
	h := &home{}
	nodes := []*corev1.Node{node("a", nil), node("b", nil)}
	for _, job := range []struct {
		host bool
		spec corev1.PodSpec
	}{{true, hostJob("i", h, nodes, nil).Spec.Template.Spec}, {false, trafficJob("i", h, "try", nodes, nil).Spec.Template.Spec}} {
		c := job.spec.Containers[0].SecurityContext
		if *job.spec.AutomountServiceAccountToken || *c.AllowPrivilegeEscalation || !*c.ReadOnlyRootFilesystem || c.Privileged != nil ||
			c.Capabilities.Drop[0] != "ALL" || job.spec.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("host %t: %+v", job.host, job.spec)
		}
		if job.host != job.spec.HostNetwork || job.host != (len(job.spec.Volumes) > 0) || job.host != (len(c.Capabilities.Add) > 0) || job.spec.HostPID || job.spec.HostIPC {
			t.Errorf("host %t: %+v", job.host, job.spec)
		}
		for _, m := range job.spec.Containers[0].VolumeMounts {
			if !m.ReadOnly {
				t.Errorf("%s can be written", m.MountPath)
			}
		}
	}
}

// The job of many nodes may take longer, since its last pods are made late, and none longer
// than every pod may.
func TestLifetime(t *testing.T) {
	for count, want := range map[int]time.Duration{10: time.Minute, 200: 70 * time.Second, 1000: 110 * time.Second, 5000: Longest} {
		job := hostJob("example.test/doctor:1", &home{}, slices.Repeat([]*corev1.Node{{}}, count), nil)
		if got := time.Duration(*job.Spec.ActiveDeadlineSeconds) * time.Second; got != want {
			t.Errorf("%d nodes: %s, want %s", count, got, want)
		}
	}
}
