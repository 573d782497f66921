package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// decodePods is what the generated decoders make of a list in the envelope.
func decodePods(text []byte) (corev1.PodList, error) {
	var envelope runtime.Unknown
	var list corev1.PodList
	if err := envelope.Unmarshal(bytes.TrimPrefix(text, magic)); err != nil {
		return list, err
	}
	err := list.Unmarshal(envelope.Raw)
	list.APIVersion, list.Kind = envelope.APIVersion, envelope.Kind
	return list, err
}

// walkPods decodes one by one what decodePods decodes as a whole.
func walkPods(r io.Reader) (Head, []corev1.Pod, error) {
	var pods []corev1.Pod
	head, err := Protobuf(r, func(item []byte) error {
		var pod corev1.Pod
		if err := pod.Unmarshal(item); err != nil {
			return err
		}
		pods = append(pods, pod)
		return nil
	})
	return head, pods, err
}

// FuzzProtobuf gives any bytes. What is accepted, the generated decoders accept, and
// find the same in it; they accept more.
func FuzzProtobuf(f *testing.F) {
	for _, list := range testLists() {
		f.Add(encode(f, list))
	}
	for _, text := range []string{
		"", k8s, k8s + podType + raw + tail, k8s + raw + podType + tail, k8s + unknown + podType + bytesField(2, unknown+listMeta+unknown) + tail,
		k8s + podType + bytesField(2, listMeta+listMeta+bytesField(2, bytesField(1, bytesField(1, "p")))) + bytesField(4, runtime.ContentTypeProtobuf) + bytesField(3, ""),
		hugeList(maxItem), hugeList(maxItem + 1), k8s + strings.Repeat("\xff", 11),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		head, pods, err := walkPods(bytes.NewReader(text))
		if err != nil {
			return
		}
		list, err := decodePods(text)
		if err != nil {
			t.Fatalf("accepted what the generated decoder refuses: %v", err)
		}
		if want := headOf(&list); head != want {
			t.Errorf("got head  %+v\nwant head %+v", head, want)
		}
		if !equality.Semantic.DeepEqual(pods, list.Items) {
			t.Errorf("got  %v\nwant %v", pods, list.Items)
		}
	})
}

// randomPods makes a list of up to 31 pods from any bytes, some of them longer than the
// buffer.
func randomPods(from []byte) *corev1.PodList {
	next := func() byte {
		if len(from) == 0 {
			return 0
		}
		b := from[0]
		from = from[1:]
		return b
	}
	text := func() string {
		n := min(int(next()), len(from))
		s := string(from[:n])
		from = from[n:]
		return s
	}
	list := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	list.ResourceVersion, list.Continue = text(), text()
	if n := next(); n > 0 {
		list.RemainingItemCount = new(int64(n) - 1)
	}
	for range next() % 32 {
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: text(), Namespace: text()}}
		for range next() % 8 {
			metav1.SetMetaDataLabel(&pod.ObjectMeta, text(), text())
		}
		if n := next(); n >= 0xfe {
			metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "long", strings.Repeat("long", int(n-0xfd)*25<<10))
		}
		list.Items = append(list.Items, pod)
	}
	return list
}

// chunked reads no more than n bytes at once.
type chunked struct {
	in io.Reader
	n  int
}

func (c chunked) Read(p []byte) (int, error) { return c.in.Read(p[:min(len(p), c.n)]) }

// FuzzPods gives real lists, cut anywhere, in chunks of any size.
func FuzzPods(f *testing.F) {
	f.Add([]byte("\x0277\x04next\x05\x03\x03web\x04shop\x01\x03app\x03web\x00\x01a\x01b\x00\xfe\x01c\x00\x00\xff"), uint32(100), uint16(7))
	f.Add([]byte("\x00\x00\x00\x1f"), uint32(3), uint16(0))
	f.Add([]byte("\x00\x00\x01\x01\x00\x00\x00\xff"), uint32(bufferSize+60), uint16(4096))
	f.Add([]byte{}, uint32(0), uint16(1))
	f.Fuzz(func(t *testing.T, from []byte, cut uint32, chunk uint16) {
		text := encode(t, randomPods(from))
		want, err := decodePods(text)
		if err != nil {
			t.Fatal(err)
		}
		head, pods, err := walkPods(chunked{bytes.NewReader(text), int(chunk) + 1})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := head, headOf(&want); got != want {
			t.Errorf("got head  %+v\nwant head %+v", got, want)
		}
		if !equality.Semantic.DeepEqual(pods, want.Items) {
			t.Errorf("got  %d pods: %v\nwant %d: %v", len(pods), pods, len(want.Items), want.Items)
		}
		at := int(cut) % len(text)
		if _, _, err := walkPods(chunked{bytes.NewReader(text[:at]), int(chunk) + 1}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d of %d bytes: got %v", at, len(text), err)
		}
	})
}

// FuzzJSON gives any text. What is accepted, encoding/json accepts, and finds the same
// items in it.
func FuzzJSON(f *testing.F) {
	for _, list := range testLists() {
		text, err := json.Marshal(list)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{
		``, `{}`, `[]`, `{"items":null}`, `{"items":[null,1,"x",{},[]],"kind":"List"}`, `{"items":[],"items":[1]}`, `{"items":[1]}{"items":[2]}`,
		`{"items":[1,]}`, `{"items":[1}]`, `{"items":[1 2]}`, `{"it\u0065ms":[1],"x":{"items":[]}} `, `{"kind":"Status","message":"m","code":410}`,
		`{"items":[{"a":"\ud800"}],"metadata":{"remainingItemCount":5}}`, `{"items":[` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, items, err := collect(JSON, bytes.NewReader(text))
		if err != nil {
			return
		}
		fields := map[string]json.RawMessage{}
		var want []json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if err := json.Unmarshal(fields["items"], &want); err != nil {
			t.Fatalf("accepted items that encoding/json refuses: %v", err)
		}
		if len(items) != len(want) {
			t.Fatalf("got %d items, want %d", len(items), len(want))
		}
		for i := range items {
			if items[i] != string(want[i]) {
				t.Errorf("item %d: got %s, want %s", i, items[i], want[i])
			}
		}
	})
}
