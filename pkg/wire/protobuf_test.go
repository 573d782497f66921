package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func bytesField(num protowire.Number, value string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), value))
}

func varintField(num protowire.Number, value uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), value))
}

func tag(num protowire.Number, typ protowire.Type) string {
	return string(protowire.AppendTag(nil, num, typ))
}

// The parts of a list of two items, "one" and "two".
var (
	podType  = bytesField(1, bytesField(1, "v1")+bytesField(2, "PodList"))
	listMeta = bytesField(1, bytesField(2, "77")+bytesField(3, "next")+varintField(4, 9))
	twoItems = bytesField(2, "one") + bytesField(2, "two")
	raw      = bytesField(2, listMeta+twoItems)
	tail     = bytesField(3, "") + bytesField(4, "")
	// What a later version might add.
	unknown = varintField(9, math.MaxUint64) + bytesField(10, "x") + tag(11, protowire.Fixed32Type) + "1234" +
		tag(protowire.MaxValidNumber, protowire.Fixed64Type) + "12345678"
)

const k8s = "k8s\x00"

func TestProtobufAccepts(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"in order", k8s + podType + raw + tail},
		{"raw first", k8s + raw + podType + tail},
		{"raw last", k8s + tail + podType + raw},
		{"content type named", k8s + podType + raw + bytesField(3, "") + bytesField(4, "application/vnd.kubernetes.protobuf")},
		{"metadata behind the items", k8s + podType + bytesField(2, twoItems+listMeta) + tail},
		{"metadata in parts", k8s + podType + bytesField(2, bytesField(1, bytesField(2, "77")+bytesField(3, "old"))+twoItems+
			bytesField(1, bytesField(3, "next")+varintField(4, 9))) + tail},
		{"unknown fields", k8s + unknown + podType + bytesField(2, unknown+listMeta+bytesField(2, "one")+unknown+bytesField(2, "two")+unknown) + unknown + tail + unknown},
		{"numbers written long", k8s + podType + "\x92\x80\x00" + string(protowire.AppendVarint(nil, uint64(len(listMeta+twoItems)))) + listMeta + twoItems + tail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head, items, err := collect(Protobuf, strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if want := (Head{APIVersion: "v1", Kind: "PodList", Continue: "next", ResourceVersion: "77", Remaining: 9}); head != want {
				t.Errorf("got head  %+v\nwant head %+v", head, want)
			}
			if fmt.Sprint(items) != "[one two]" {
				t.Errorf("got items %q", items)
			}
		})
	}
}

func TestProtobufRefuses(t *testing.T) {
	list := k8s + podType + raw + tail
	overflow := strings.Repeat("\xff", 10) + "\x01"
	in := func(list string) string { return k8s + podType + bytesField(2, list) + tail }
	for _, tt := range []struct{ name, text, want string }{
		{"JSON", `{"kind":"PodList"}`, `not Kubernetes' protobuf: it begins with "{\"ki"`},
		{"no envelope", listMeta + twoItems, "not Kubernetes' protobuf: it begins with"},
		{"two lists", list + list, "a group, which Kubernetes does not use"},
		{"zeros follow", list + "\x00\x00", "a field number out of range"},
		{"text follows", list + "\n", "the envelope has two fields 1"},
		{"part of a field follows", list + tag(9, protowire.BytesType) + "\x05ab", "truncated: the protobuf ends too early"},
		{"two raw fields", k8s + podType + raw + raw + tail, "the envelope has two fields 2"},
		{"two kinds", k8s + podType + raw + podType + tail, "the envelope has two fields 1"},
		{"no list", k8s + podType + tail, "truncated: the protobuf ends too early"},
		{"no kind", k8s + raw + tail, "truncated: the protobuf ends too early"},
		{"encoded content", k8s + podType + raw + bytesField(3, "gzip"), `the list is encoded once more, as "gzip"`},
		{"long content encoding", k8s + podType + raw + bytesField(3, strings.Repeat("z", 99)), `as "` + strings.Repeat("z", 40) + `"`},
		{"other content", k8s + podType + raw + bytesField(3, "") + bytesField(4, "application/json"), `the list is not protobuf but "application/json"`},
		{"field number 0", k8s + tag(0, protowire.BytesType) + "\x00", "a field number out of range"},
		{"field number too large", k8s + tag(protowire.MaxValidNumber+1, protowire.BytesType) + "\x00", "a field number out of range"},
		{"field number aliases 2", k8s + string(protowire.AppendVarint(nil, (1<<32+2)<<3|2)) + "\x00", "a field number out of range"},
		{"tag overflows", k8s + overflow, "integer overflow"},
		{"length overflows", k8s + tag(1, protowire.BytesType) + overflow, "integer overflow"},
		{"unknown number overflows", k8s + tag(9, protowire.VarintType) + overflow, "integer overflow"},
		{"raw is a number", k8s + podType + varintField(2, 3), "field 2 has wire type 0"},
		{"raw is a group", k8s + podType + tag(2, protowire.StartGroupType), "a group"},
		{"unknown group", k8s + tag(9, protowire.StartGroupType) + tag(9, protowire.EndGroupType), "a group"},
		{"group ends", k8s + tag(9, protowire.EndGroupType), "a group"},
		{"reserved wire type", k8s + tag(9, 7), "wire type 7"},
		{"TypeMeta is wrong", k8s + bytesField(1, "\x0a\x05v1") + raw + tail, "malformed protobuf: unexpected EOF"},
		{"ListMeta is wrong", in(bytesField(1, "\x12\x05v1")), "malformed protobuf: unexpected EOF"},
		{"ListMeta is a number", in(varintField(1, 1)), "field 1 has wire type 0"},
		{"item is a number", in(varintField(2, 1)), "field 2 has wire type 0"},
		{"item is longer than the list", in(listMeta + tag(2, protowire.BytesType) + "\x05abc"), "a field is longer than what it is part of"},
		{"list ends in a number", in(listMeta + tag(2, protowire.BytesType) + "\x80"), "a field is longer than what it is part of"},
		{"list ends in a fixed number", in(tag(9, protowire.Fixed64Type) + "123"), "a field is longer than what it is part of"},
		{"unknown is longer than the list", in(tag(9, protowire.BytesType) + "\x05abc"), "a field is longer than what it is part of"},
		{"length is negative", k8s + podType + tag(2, protowire.BytesType) + string(protowire.AppendVarint(nil, math.MaxUint64)), "a field is longer than what it is part of"},
		{"unknown group in the list", in(tag(9, protowire.StartGroupType) + tag(9, protowire.EndGroupType)), "a group"},
		{"Status is wrong", k8s + bytesField(1, bytesField(2, "Status")) + bytesField(2, "\x0a\x05v1"), "malformed protobuf: unexpected EOF"},
		{"Status before its kind", k8s + bytesField(2, bytesField(1, "")) + bytesField(1, bytesField(2, "Status")) + tail, "a Status without a message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := collect(Protobuf, strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got error %v, want %s", err, tt.want)
			}
			// What is wrong within a known length is not for want of bytes.
			if got, want := errors.Is(err, io.ErrUnexpectedEOF), strings.HasPrefix(tt.want, "truncated"); got != want {
				t.Errorf("is an early end: got %v, want %v", got, want)
			}
		})
	}
}

// hugeList begins a list with a single item of n bytes, of which none is there.
func hugeList(n uint64) string {
	item := tag(2, protowire.BytesType) + string(protowire.AppendVarint(nil, n))
	return k8s + podType + tag(2, protowire.BytesType) + string(protowire.AppendVarint(nil, uint64(len(item))+n)) + item
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestProtobufLongItems(t *testing.T) {
	for _, n := range []int{bufferSize - 1, bufferSize, bufferSize + 1, 3*bufferSize + 7, maxItem} {
		got := 0
		_, err := Protobuf(io.MultiReader(strings.NewReader(hugeList(uint64(n))), io.LimitReader(zeros{}, int64(n)), strings.NewReader(tail)), func(item []byte) error {
			got = len(item)
			return nil
		})
		if got != n || err != nil {
			t.Errorf("item of %d bytes: got %d and error %v", n, got, err)
		}
	}
}

func TestProtobufTooLong(t *testing.T) {
	const n = maxItem + 1
	long := string(protowire.AppendVarint(nil, n))
	for _, tt := range []struct{ name, text, want string }{
		{"item", hugeList(n), "item 0: longer than the 67108864 bytes allowed"},
		{"huge item", hugeList(1 << 60), "item 0: longer than the 67108864 bytes allowed"},
		{"kind", k8s + tag(1, protowire.BytesType) + long, "longer than the 67108864 bytes allowed"},
		{"unknown", k8s + tag(9, protowire.BytesType) + long, "longer than the 67108864 bytes allowed"},
		{"Status", k8s + bytesField(1, bytesField(2, "Status")) + tag(2, protowire.BytesType) + long, "longer than the 67108864 bytes allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := collect(Protobuf, io.MultiReader(strings.NewReader(tt.text), zeros{}))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got error %v, want %s", err, tt.want)
			}
		})
	}
}

// A length that promises more than comes takes no memory for it.
func TestProtobufFalseLength(t *testing.T) {
	text := hugeList(maxItem) + strings.Repeat("x", bufferSize)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := collect(Protobuf, strings.NewReader(text))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v", err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 8*bufferSize {
		t.Errorf("got %d bytes allocated for %d that came", got, bufferSize)
	}
}

// The bytes of an item are overwritten by those that follow: nobody pays for a copy.
func TestProtobufReusesMemory(t *testing.T) {
	long := strings.Repeat("a", 2*bufferSize)
	text := k8s + podType + bytesField(2, bytesField(2, long)+bytesField(2, strings.ReplaceAll(long, "a", "b"))) + tail
	var first []byte
	_, err := Protobuf(strings.NewReader(text), func(item []byte) error {
		if first == nil {
			first = item
		}
		return nil
	})
	if err != nil || !bytes.HasPrefix(first, []byte("bbb")) {
		t.Errorf("got %.10q and error %v", first, err)
	}
}

// Nothing that is empty is taken for missing.
func TestProtobufEmptyParts(t *testing.T) {
	head, items, err := collect(Protobuf, strings.NewReader(k8s+bytesField(1, "")+bytesField(2, bytesField(1, "")+bytesField(2, ""))+tail))
	if err != nil || head != (Head{}) || len(items) != 1 || items[0] != "" {
		t.Errorf("got %+v, %q, %v", head, items, err)
	}
	head, items, err = collect(Protobuf, strings.NewReader(k8s+podType+bytesField(2, "")+tail))
	if err != nil || head.Kind != "PodList" || len(items) != 0 {
		t.Errorf("got %+v, %q, %v", head, items, err)
	}
}
