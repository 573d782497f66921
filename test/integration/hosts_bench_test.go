package integration

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

// nodeBytes is what the files of one node are worth: as much as rules of kube-proxy for some
// hundred Services.
const nodeBytes = 100 << 10

// BenchmarkHosts looks at many nodes, and sets beside it how long a Job with as many pods
// takes, of which nothing is read: what Kubernetes itself needs, and these stand-ins of
// kubelets.
func BenchmarkHosts(b *testing.B) {
	for _, count := range []int{50, 200, 1000} {
		b.Run(fmt.Sprintf("nodes=%d", count), func(b *testing.B) {
			f := startFleet(b, count)
			text := heavy()
			f.prints = func(string, string) string { return text }
			floor := f.plainJob(b)
			b.ResetTimer()
			for b.Loop() {
				peak, stop := watchHeap()
				s, _ := f.look(b, b.Context(), f.p.Config, facts.Host)
				stop()
				if len(s.Files) != count {
					b.Fatalf("%d of %d nodes told of themselves: %s", len(s.Files), count, s.Gaps)
				}
				b.ReportMetric(float64(*peak>>20), "peak-MiB")
			}
			seconds := b.Elapsed().Seconds() / float64(b.N)
			b.ReportMetric(seconds, "s/look")
			b.ReportMetric(seconds/floor.Seconds(), "plain-Jobs")
			f.clean(b)
		})
	}
}

// heavy is what a pod prints of a node with many rules. What does not repeat itself does not
// pack well: half of it is noise.
func heavy() string {
	noise := rand.New(rand.NewPCG(1, 2))
	var rules bytes.Buffer
	for rules.Len() < nodeBytes {
		fmt.Fprintf(&rules, "-A KUBE-SVC-%016X -m comment --comment shop/cart -j KUBE-SEP-%016X\n", noise.Uint64(), noise.Uint64())
	}
	var out bytes.Buffer
	r := agent.Result{Version: agent.ResultVersion, Files: map[string]string{"/iptables-save": rules.String(), "/proc/sys/net/ipv4/ip_forward": "1\n"}}
	if err := r.Write(&out); err != nil {
		panic(err)
	}
	return out.String()
}

// watchHeap tells the most that the heap has held until it is stopped.
func watchHeap() (peak *uint64, stop func()) {
	runtime.GC()
	peak = new(uint64)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapInuse)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return peak, func() { cancel(); wait.Wait() }
}

// plainJob tells how long a Job with a pod on each node takes from its making until its
// namespace is gone.
func (f *fleet) plainJob(b *testing.B) time.Duration {
	ctx := b.Context()
	begin := time.Now()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: probe.Namespace}}
	if _, err := f.p.Client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	labels := map[string]string{"app.kubernetes.io/component": "plain"}
	pod := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "plain", Image: "example.test/plain:1"}},
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: f.nodes},
			}}},
		}}},
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "plain"}, Spec: batchv1.JobSpec{
		Parallelism: ptr.To(int32(len(f.nodes))), Completions: ptr.To(int32(len(f.nodes))), CompletionMode: ptr.To(batchv1.IndexedCompletion),
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
	}}
	made := func(ctx context.Context) (bool, error) { // until the namespace has its ServiceAccount
		_, err := f.p.Client.BatchV1().Jobs(probe.Namespace).Create(ctx, job, metav1.CreateOptions{})
		return err == nil, nil
	}
	over := func(ctx context.Context) (bool, error) {
		j, err := f.p.Client.BatchV1().Jobs(probe.Namespace).Get(ctx, "plain", metav1.GetOptions{})
		return err == nil && j.Status.CompletionTime != nil, nil
	}
	gone := func(ctx context.Context) (bool, error) {
		_, err := f.p.Client.CoreV1().Namespaces().Get(ctx, probe.Namespace, metav1.GetOptions{})
		return err != nil, nil
	}
	for _, step := range []func(context.Context) (bool, error){made, over} {
		if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 2*time.Minute, true, step); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.p.Client.CoreV1().Namespaces().Delete(ctx, probe.Namespace, metav1.DeleteOptions{}); err != nil {
		b.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 2*time.Minute, true, gone); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}
