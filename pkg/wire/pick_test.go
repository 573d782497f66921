package wire_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubectl-netdoctor/netdoctor/pkg/wire"
)

type numbers = map[protowire.Number]*wire.Fields

func TestPick(t *testing.T) {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "kiln", Namespace: "pottery", Annotations: map[string]string{"a": "1", "b": "2"}},
		Spec:       corev1.PodSpec{NodeName: "shelf", Containers: []corev1.Container{{Name: "fire", Image: "wood"}, {Name: "smoke", Image: "air"}}},
	}
	name := &wire.Fields{Only: numbers{1: nil}}
	tests := map[string]struct {
		want   *wire.Fields
		change func(*corev1.Pod) // what the rest looks like
	}{
		"all":                     {&wire.Fields{}, func(*corev1.Pod) {}},
		"nothing":                 {&wire.Fields{Only: numbers{}}, func(p *corev1.Pod) { *p = corev1.Pod{} }},
		"one field":               {&wire.Fields{Only: numbers{2: nil}}, func(p *corev1.Pod) { p.ObjectMeta = metav1.ObjectMeta{} }},
		"all but one":             {&wire.Fields{Without: numbers{1: nil}}, func(p *corev1.Pod) { p.ObjectMeta = metav1.ObjectMeta{} }},
		"all but one of one":      {&wire.Fields{Without: numbers{1: {Without: numbers{3: nil}}}}, func(p *corev1.Pod) { p.Namespace = "" }},
		"one entry":               {&wire.Fields{Without: numbers{1: {Without: numbers{12: {Key: "b"}}}}}, func(p *corev1.Pod) { delete(p.Annotations, "a") }},
		"an entry that is absent": {&wire.Fields{Without: numbers{1: {Without: numbers{12: {Key: "c"}}}}}, func(p *corev1.Pod) { p.Annotations = nil }},
		"of each of several": {&wire.Fields{Without: numbers{2: {Without: numbers{2: name}}}}, func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Name: "fire"}, {Name: "smoke"}}
		}},
	}
	raw, err := pod.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			picked, err := wire.Pick([]byte("before"), raw, tt.want)
			if err != nil {
				t.Fatal(err)
			}
			var got corev1.Pod
			if err := got.Unmarshal(picked[len("before"):]); err != nil {
				t.Fatal(err)
			}
			want := pod.DeepCopy()
			tt.change(want)
			// What an encoder writes for a field that is empty is not the same as nothing.
			a, _ := got.Marshal()
			b, _ := want.Marshal()
			if string(a) != string(b) {
				t.Errorf("got %v, want %v", got, *want)
			}
		})
	}
}

func TestPickRefuses(t *testing.T) {
	inner := &wire.Fields{Only: numbers{1: {Only: numbers{1: nil}}}}
	for name, raw := range map[string]string{
		"a tag cut off":                 "\x80",
		"a field number of 0":           "\x02\x00",
		"a value cut off":               "\x0a\x05ab",
		"a value cut off inside":        "\x0a\x03\x0a\x05a",
		"a number where a message is":   "\x08\x01",
		"a group that does not end":     "\x0b",
		"a length longer than anything": "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		if _, err := wire.Pick(nil, []byte(raw), inner); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Whatever comes, nothing but an error happens, and what is picked of a message is one.
func FuzzPick(f *testing.F) {
	f.Add([]byte("\x0a\x03\x0a\x01a\x12\x00"))
	f.Add([]byte("\x0a\x05\x62\x03\x0a\x01k"))
	want := &wire.Fields{Only: numbers{1: {Without: numbers{17: nil, 12: {Key: "k"}}}, 2: {Only: numbers{1: nil}}}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		picked, err := wire.Pick(nil, raw, want)
		if err != nil {
			return
		}
		again, err := wire.Pick(nil, picked, want)
		if err != nil || string(again) != string(picked) {
			t.Errorf("%x picks %x, which picks %x, %v", raw, picked, again, err)
		}
	})
}
