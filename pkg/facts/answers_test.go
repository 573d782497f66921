package facts_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer facts.Answer
		want   string
		ok     bool
	}{
		{"address", facts.Answer{Type: "A", Name: "a.example.", Rcode: "NOERROR", Records: []string{"192.0.2.1", "192.0.2.2"}, Took: 2400 * time.Microsecond},
			"A a.example.: NOERROR, 192.0.2.1, 192.0.2.2 (2 ms)", true},
		{"no such name", facts.Answer{Type: "PTR", Name: "b.example.", Rcode: "NXDOMAIN"}, "PTR b.example.: NXDOMAIN (0 ms)", true},
		{"failure", facts.Answer{Type: "A", Name: "c.example.", Rcode: "SERVFAIL", Took: time.Second}, "A c.example.: SERVFAIL (1000 ms)", false},
		{"none", facts.Answer{Type: "A", Name: "d.example.", Err: "no answer in 5 s", Took: 5 * time.Second}, "A d.example.: no answer in 5 s", false},
		{"neither", facts.Answer{Type: "A", Name: "e.example."}, "A e.example.: nothing (0 ms)", false},
	} {
		if got := tt.answer.String(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := tt.answer.OK(); got != tt.ok {
			t.Errorf("%s: ok %t", tt.name, got)
		}
	}
}

// dnsPod returns a pod of cluster DNS as checks see it, after a change.
func dnsPod(t *testing.T, change func(*corev1.Pod)) (*facts.Snapshot, *facts.Pod) {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "resolver-0"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "dns", Image: "registry.k8s.io/coredns/coredns:v1.14.6"}},
			Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "zones"}}}},
				{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "extra"}}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "dns", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
	}
	change(p)
	b := facts.NewBuilder(time.Now(), "v1.37.2", facts.Logs)
	for _, cm := range []*corev1.ConfigMap{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "zones"}, Data: map[string]string{"Corefile": p.Annotations["corefile"]}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "extra"}, Data: map[string]string{"views.server": p.Annotations["extra"]}},
	} {
		if cm.Name == "zones" && p.Annotations["corefile"] == "" {
			continue
		}
		if err := b.Add(cm); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Add(p); err != nil {
		t.Fatal(err)
	}
	s := b.Build()
	return s, s.DNSPods()[0]
}

func TestNotAskable(t *testing.T) {
	state := func(s corev1.ContainerState) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State = s }
	}
	for _, tt := range []struct {
		name   string
		change func(*corev1.Pod)
		want   string
	}{
		{"runs, and is not ready", func(*corev1.Pod) {}, ""},
		{"crash-looping", state(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}), "it does not run (CrashLoopBackOff)"},
		{"ended", state(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}}), "it does not run (Error)"},
		{"waits", state(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}), "it does not run (not started)"},
		{"pending", func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, "it does not run"},
		{"goes", func(p *corev1.Pod) { now := metav1.Now(); p.DeletionTimestamp = &now }, "it is being deleted"},
	} {
		_, p := dnsPod(t, tt.change)
		if got := p.NotAskable(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDNSPort(t *testing.T) {
	ports := func(ports ...corev1.ContainerPort) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[0].Ports = ports }
	}
	for _, tt := range []struct {
		name   string
		change func(*corev1.Pod)
		want   int
	}{
		{"declares none", func(*corev1.Pod) {}, 53},
		{"the usual", ports(corev1.ContainerPort{ContainerPort: 53, Protocol: corev1.ProtocolUDP}, corev1.ContainerPort{ContainerPort: 53, Protocol: corev1.ProtocolTCP}), 53},
		{"another", ports(corev1.ContainerPort{ContainerPort: 5353, Name: "dns", Protocol: corev1.ProtocolUDP}, corev1.ContainerPort{ContainerPort: 5353, Name: "dns-tcp", Protocol: corev1.ProtocolTCP}), 5353},
		{"metrics alone", ports(corev1.ContainerPort{ContainerPort: 9153, Name: "metrics", Protocol: corev1.ProtocolTCP}), 53},
	} {
		_, p := dnsPod(t, tt.change)
		if got := p.DNSPort(); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSelective(t *testing.T) {
	texts := func(corefile, extra string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{"corefile": corefile, "extra": extra} }
	}
	const plain = ".:53 {\n    errors\n    kubernetes cluster.local\n    rewrite name acl.example view.example\n}\n"
	for _, tt := range []struct {
		name   string
		change func(*corev1.Pod)
		want   string
	}{
		{"plain", texts(plain, ""), ""},
		{"acl", texts(".:53 {\n\tacl {\n\t}\n}\n", ""), "its Corefile has acl, which may keep clients and us apart"},
		{"in what it imports", texts(plain, "lake:53 {\n  view v { expr client_ip() == '10.0.0.1' }\n}\n"), "its Corefile has view, which may keep clients and us apart"},
		{"bind", texts(".:53 {\n bind eth0\n}", ""), "its Corefile has bind, which may keep clients and us apart"},
		{"not known", texts("", ""), "whether its Corefile keeps clients and us apart is not known"},
		{"on the node", func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "it is on its node's network, where another server may have answered"},
	} {
		s, p := dnsPod(t, tt.change)
		if got := s.Selective(p); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
