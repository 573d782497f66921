package facts

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// replica is one pod of many, each Deployment of fifteen.
func replica(i int) *corev1.Pod {
	p, set := kiosk(), i/15
	hash := fmt.Sprintf("%09x", set)
	p.Namespace, p.Name, p.UID = fmt.Sprintf("team-%03d", set%200), fmt.Sprintf("checkout-svc-%05d-%s-%05x", set, hash, i), "00000000-0000-0000-0000-000000000000"
	p.OwnerReferences[0].Name = fmt.Sprintf("checkout-svc-%05d-%s", set, hash)
	for j := range 7 {
		p.Labels[fmt.Sprintf("app.kubernetes.io/label-%d", j)] = fmt.Sprintf("value-%05d", set)
	}
	p.Labels["pod-template-hash"] = hash
	p.Spec.NodeName = fmt.Sprintf("ip-node-%05d.eu-west-1.compute.internal", i%5000)
	p.Spec.Containers[0].Image = fmt.Sprintf("registry.example.com/team/checkout:v%d", set)
	p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "CONFIG", Value: strings.Repeat("x", 1500)}}
	p.Status.PodIPs = []corev1.PodIP{{IP: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)}}
	p.Status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{}
	if i%10 < 3 {
		sidecar := p.Spec.Containers[0].DeepCopy()
		sidecar.Name, sidecar.RestartPolicy = "proxy", ptr.To(corev1.ContainerRestartPolicyAlways)
		p.Spec.Containers = append(p.Spec.Containers, *sidecar)
	}
	return p
}

// BenchmarkCompact tells what a pod costs in the heap of a snapshot, with its share of the
// index, and how long it takes to decode and compact one.
func BenchmarkCompact(b *testing.B) {
	for _, n := range []int{1000, 15_000, 150_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var raw [][]byte
			for i := range 15 * 100 {
				text, err := replica(i).Marshal()
				if err != nil {
					b.Fatal(err)
				}
				raw = append(raw, text)
			}
			before := heap()
			for b.Loop() {
				builder, batch := NewBuilder(time.Now(), "", API), NewBatch()
				var p corev1.Pod
				for i := range n {
					p.Reset()
					if err := p.Unmarshal(raw[i%len(raw)]); err != nil {
						b.Fatal(err)
					}
					set := i / 15
					p.Name = fmt.Sprintf("checkout-svc-%05d-%09x-%05x", set, set, i)
					p.Labels["app"] = fmt.Sprintf("checkout-svc-%05d", set)
					if err := batch.Add(&p); err != nil {
						b.Fatal(err)
					}
				}
				builder.Merge(batch)
				s := builder.Build()
				b.ReportMetric(float64(heap()-before)/float64(n), "B/pod")
				runtime.KeepAlive(s)
			}
		})
	}
}

// BenchmarkRecord tells how long a pod takes on its way into a bundle.
func BenchmarkRecord(b *testing.B) {
	pods := make([]*corev1.Pod, 1500)
	for i := range pods {
		pods[i] = replica(i)
	}
	for b.Loop() {
		var r Recorder
		for _, p := range pods {
			if err := r.Record(Pods, p); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(pods)), "µs/pod")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
