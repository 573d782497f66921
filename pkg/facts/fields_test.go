package facts

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"

	"github.com/kubectl-netdoctor/netdoctor/pkg/wire"
)

type generated interface {
	metav1.Object
	runtime.Object
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// kept is what a batch makes of an encoded object.
func kept(t testing.TB, src *Source, raw []byte) *Snapshot {
	t.Helper()
	obj, _ := New(src).(generated)
	if err := obj.Unmarshal(raw); err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	b := NewBatch()
	if err := b.Add(obj); err != nil {
		t.Fatal(err)
	}
	return &b.s
}

// Whatever an object holds, a batch makes the same of all of it and of what Fields picks.
func TestFieldsSuffice(t *testing.T) {
	for _, src := range Sources() {
		if !src.Object() {
			continue
		}
		if _, ok := New(src).(generated); !ok {
			continue // read as JSON, whole
		}
		for seed := range int64(200) {
			obj, _ := New(src).(generated)
			filler(seed).Fill(obj)
			suit(obj, seed)
			raw, err := obj.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			picked, err := wire.Pick(nil, raw, Fields(src))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(kept(t, src, raw), kept(t, src, picked), cmp.AllowUnexported(Snapshot{}, index{})); d != "" {
				t.Fatalf("%s of seed %d (-whole +picked):\n%s", src, seed, d)
			}
			if len(picked) >= len(raw) {
				t.Errorf("%s of seed %d: %d bytes of %d are picked", src, seed, len(picked), len(raw))
			}
		}
	}
}

// filler makes values that the encoding gives back as they were.
func filler(seed int64) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(0.3).NumElements(1, 3).MaxDepth(12).Funcs(
		func(t *metav1.Time, c randfill.Continue) { *t = metav1.Unix(c.Int63n(4e9), 0) },
		func(t *metav1.MicroTime, c randfill.Continue) { t.Time = time.UnixMicro(c.Int63n(4e15)) },
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(c.Int63n(1000), resource.DecimalSI)
		},
		func(*runtime.RawExtension, randfill.Continue) {},
		func(f *metav1.FieldsV1, _ randfill.Continue) { f.SetRawString(`{"f:metadata":{}}`) },
	)
}

// suit gives an object what random ones do not have: the values that the compact forms
// look at.
func suit(obj metav1.Object, seed int64) {
	obj.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubelet"}})
	controller := seed%2 == 0
	switch o := obj.(type) {
	case *corev1.Pod:
		if seed%3 == 0 {
			o.Namespace = "kube-system"
		}
		o.Annotations = map[string]string{staticPodAnnotation: "file", "other": "x"}
		o.Labels = map[string]string{"pod-template-hash": "h", fmt.Sprint(seed): "v"}
		o.OwnerReferences = []metav1.OwnerReference{{Kind: []string{"ReplicaSet", "DaemonSet", "Node"}[seed%3], Name: "set-h", Controller: &controller}}
		o.Status.Conditions = append(o.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue},
			corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/5 nodes"})
		for i := range o.Status.ContainerStatuses {
			if i < len(o.Spec.Containers) {
				o.Status.ContainerStatuses[i].Name = o.Spec.Containers[i].Name
			}
		}
	case *discoveryv1.EndpointSlice:
		o.Labels = map[string]string{discoveryv1.LabelServiceName: "front", discoveryv1.LabelManagedBy: "somebody"}
		for i := range o.Endpoints {
			o.Endpoints[i].TargetRef = &corev1.ObjectReference{Kind: []string{"Pod", "Node"}[seed%2], Name: fmt.Sprint(i)}
		}
	}
}
