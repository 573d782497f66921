package wire

import (
	"bytes"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// largePods is a list of pods of about 7 KB each, the size of pods in a real cluster.
func largePods(n int) *corev1.PodList {
	list := testPods(n)
	for i := range list.Items {
		pod := &list.Items[i]
		for j := range 60 {
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, fmt.Sprintf("example.org/annotation-%02d", j),
				"a text of the length that annotations and environment variables have, more or less, in pods")
		}
	}
	return list
}

// BenchmarkRead tells what one item costs: an operation is a list of 2000.
func BenchmarkRead(b *testing.B) {
	const items = 2000
	for name, enc := range encodings() {
		b.Run(name, func(b *testing.B) {
			text := enc.text(b, largePods(items))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				_, err := enc.walk(bytes.NewReader(text), func([]byte) error { n++; return nil })
				if err != nil || n != items {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/items, "ns/item")
		})
	}
}
