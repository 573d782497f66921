package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// walker is Protobuf or JSON.
type walker func(io.Reader, func([]byte) error) (Head, error)

// collect returns copies of the items.
func collect(walk walker, r io.Reader) (Head, []string, error) {
	var items []string
	head, err := walk(r, func(item []byte) error {
		items = append(items, string(item))
		return nil
	})
	return head, items, err
}

// encode returns a list as an API server sends it.
func encode(t testing.TB, list runtime.Object) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(list, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func testPod(i int) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("pod-", i), Namespace: "shop", Labels: map[string]string{"app": "é\\\"x"}},
		Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "c", Image: "nginx"}}},
		Status:     corev1.PodStatus{PodIP: "10.0.0." + strconv.Itoa(i), Phase: corev1.PodRunning},
	}
}

func testPods(n int) *corev1.PodList {
	list := &corev1.PodList{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"},
		ListMeta: metav1.ListMeta{ResourceVersion: "77", Continue: "next", RemainingItemCount: new(int64(5))},
	}
	for i := range n {
		list.Items = append(list.Items, testPod(i))
	}
	return list
}

func testLists() map[string]runtime.Object {
	slices := &discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"}}
	events := &corev1.EventList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "EventList"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
	for i := range 3 {
		name := metav1.ObjectMeta{Name: fmt.Sprint("o-", i), Namespace: "shop"}
		slices.Items = append(slices.Items, discoveryv1.EndpointSlice{ObjectMeta: name, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}})
		events.Items = append(events.Items, corev1.Event{ObjectMeta: name, Message: strings.Repeat("m", 300), Count: 2})
	}
	return map[string]runtime.Object{"pods": testPods(4), "none": testPods(0), "slices": slices, "events": events}
}

// wantItems returns the items of a list, each as its own encoder writes it.
func wantItems(t *testing.T, list runtime.Object, asJSON bool) []string {
	t.Helper()
	var all []interface{ Marshal() ([]byte, error) }
	switch l := list.(type) {
	case *corev1.PodList:
		for i := range l.Items {
			all = append(all, &l.Items[i])
		}
	case *corev1.EventList:
		for i := range l.Items {
			all = append(all, &l.Items[i])
		}
	case *discoveryv1.EndpointSliceList:
		for i := range l.Items {
			all = append(all, &l.Items[i])
		}
	}
	var items []string
	for _, item := range all {
		text, err := item.Marshal()
		if asJSON {
			text, err = json.Marshal(item)
		}
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, string(text))
	}
	return items
}

func headOf(list runtime.Object) Head {
	meta := list.(metav1.ListInterface)
	head := Head{Continue: meta.GetContinue(), ResourceVersion: meta.GetResourceVersion()}
	head.APIVersion, head.Kind = list.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	if n := meta.GetRemainingItemCount(); n != nil {
		head.Remaining = *n
	}
	return head
}

func readers() map[string]func(io.Reader) io.Reader {
	return map[string]func(io.Reader) io.Reader{
		"whole":           func(r io.Reader) io.Reader { return r },
		"one byte":        iotest.OneByteReader,
		"half":            iotest.HalfReader,
		"error with data": iotest.DataErrReader,
	}
}

type encoding struct {
	walk walker
	text func(testing.TB, runtime.Object) []byte
	json bool
}

func encodings() map[string]encoding {
	return map[string]encoding{
		"protobuf": {walk: Protobuf, text: encode},
		"streamed protobuf": {walk: Protobuf, text: func(t testing.TB, list runtime.Object) []byte {
			var out bytes.Buffer
			s := protobuf.NewSerializerWithOptions(scheme.Scheme, scheme.Scheme, protobuf.SerializerOptions{StreamingCollectionsEncoding: true})
			if err := s.Encode(list, &out); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}},
		"json": {walk: JSON, json: true, text: func(t testing.TB, list runtime.Object) []byte {
			text, err := json.Marshal(list)
			if err != nil {
				t.Fatal(err)
			}
			return append(text, '\n')
		}},
	}
}

func TestRealLists(t *testing.T) {
	for encName, enc := range encodings() {
		for listName, list := range testLists() {
			text := enc.text(t, list)
			for readerName, reader := range readers() {
				t.Run(encName+"/"+listName+"/"+readerName, func(t *testing.T) {
					head, items, err := collect(enc.walk, reader(bytes.NewReader(text)))
					if err != nil {
						t.Fatal(err)
					}
					if want := headOf(list); head != want {
						t.Errorf("got head  %+v\nwant head %+v", head, want)
					}
					want := wantItems(t, list, enc.json)
					if fmt.Sprintf("%q", items) != fmt.Sprintf("%q", want) {
						t.Errorf("got  %q\nwant %q", items, want)
					}
				})
			}
		}
	}
}

// Wherever a list ends early, what is there of it is never taken for the list.
func TestCut(t *testing.T) {
	for encName, enc := range encodings() {
		for listName, list := range testLists() {
			text := bytes.TrimSpace(enc.text(t, list))
			for _, readerName := range []string{"whole", "error with data"} {
				reader := readers()[readerName]
				for i := range text {
					_, _, err := collect(enc.walk, reader(bytes.NewReader(text[:i])))
					if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "ends too early") {
						t.Fatalf("%s of %s, %s: cut after %d of %d bytes: got %v", encName, listName, readerName, i, len(text), err)
					}
				}
			}
		}
	}
}

// A reader's own error is told as it is, even where a list could end, and is not
// forgotten where the reader says io.EOF after it.
func TestReaderFails(t *testing.T) {
	lost := errors.New("connection lost")
	for name, enc := range encodings() {
		text := bytes.TrimSpace(enc.text(t, testPods(3)))
		for i := range len(text) + 1 {
			for _, then := range []error{lost, io.EOF} {
				_, _, err := collect(enc.walk, &failing{text: text[:i], errs: []error{lost, then}})
				if !errors.Is(err, lost) || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%s: failed after %d of %d bytes, then %v: got %v", name, i, len(text), then, err)
				}
			}
		}
	}
}

// failing gives its text and the first error together, then the rest of the errors.
type failing struct {
	text []byte
	errs []error
}

func (f *failing) Read(p []byte) (int, error) {
	n := copy(p, f.text)
	f.text = f.text[n:]
	if len(f.text) > 0 {
		return n, nil
	}
	err := f.errs[0]
	if len(f.errs) > 1 {
		f.errs = f.errs[1:]
	}
	return n, err
}

func TestCallersError(t *testing.T) {
	for name, enc := range encodings() {
		// io.EOF must not be mistaken for an end of the input.
		for _, mine := range []error{errors.New("no such namespace"), io.EOF, &json.SyntaxError{}} {
			t.Run(name, func(t *testing.T) {
				n := 0
				_, err := enc.walk(bytes.NewReader(enc.text(t, testPods(5))), func([]byte) error {
					if n++; n == 4 {
						return mine
					}
					return nil
				})
				if !errors.Is(err, mine) || err.Error() != "item 3: "+mine.Error() {
					t.Errorf("got error %v, want item 3: %v", err, mine)
				}
				if n != 4 {
					t.Errorf("got %d calls, want 4", n)
				}
			})
		}
	}
}

func TestStatus(t *testing.T) {
	expired := apierrors.NewResourceExpired("the token is too old").Status()
	expired.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	mute := expired
	mute.Message = ""
	success := metav1.Status{TypeMeta: expired.TypeMeta, Status: metav1.StatusSuccess, Message: "done"}
	for name, enc := range encodings() {
		for _, tt := range []struct {
			status metav1.Status
			want   string
		}{
			{expired, "the token is too old"},
			{mute, `a Status without a message, reason "Expired"`},
			{success, "not a list but a Status: done"},
		} {
			t.Run(name+"/"+tt.want, func(t *testing.T) {
				head, items, err := collect(enc.walk, bytes.NewReader(enc.text(t, &tt.status)))
				if err == nil || err.Error() != tt.want || len(items) > 0 {
					t.Fatalf("got %d items and error %v, want %s", len(items), err, tt.want)
				}
				if head.Kind != "Status" {
					t.Errorf("got kind %q", head.Kind)
				}
				var status apierrors.APIStatus
				if !errors.As(err, &status) || status.Status().Reason != tt.status.Reason || status.Status().Code != tt.status.Code {
					t.Errorf("got %#v, want the status in it", err)
				}
				if apierrors.IsResourceExpired(err) != (tt.status.Code == 410) {
					t.Errorf("the reason is not recognised")
				}
			})
		}
	}
}

// Reading costs the same few allocations however many items there are.
func TestAllocations(t *testing.T) {
	for name, enc := range encodings() {
		allocs := func(n int) float64 {
			text := enc.text(t, testPods(n))
			return testing.AllocsPerRun(5, func() {
				if _, err := enc.walk(bytes.NewReader(text), func([]byte) error { return nil }); err != nil {
					t.Fatal(err)
				}
			})
		}
		if few, many := allocs(100), allocs(2100); many-few > 20 { // buffers may grow a few times more
			t.Errorf("%s: got %v allocations for 100 items and %v for 2100", name, few, many)
		}
	}
}
