package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestJSONAccepts(t *testing.T) {
	want := Head{APIVersion: "v1", Kind: "PodList", Continue: "next", ResourceVersion: "77", Remaining: 9}
	const meta = `"metadata":{"resourceVersion":"77","continue":"next","remainingItemCount":9,"selfLink":""}`
	for _, tt := range []struct {
		name, text string
		head       Head
		items      string
	}{
		{"as a server sends it", `{"kind":"PodList","apiVersion":"v1",` + meta + `,"items":[{"a":1},{"b":[]}]}` + "\n", want, `[{"a":1} {"b":[]}]`},
		{"metadata behind", `{"items":[{"a":1},{"b":[]}],"apiVersion":"v1",` + meta + `,"kind":"PodList"}`, want, `[{"a":1} {"b":[]}]`},
		{"unknown fields", ` {"x":{"items":[7]},"kind":"PodList","y":[],` + meta + `,"items":[],"apiVersion":"v1","x":null}`, want, `[]`},
		{"null", `{"items":null}`, Head{}, `[]`},
		{"null in it", `{"items":[null, 1 ]}`, Head{}, `[null 1]`},
		{"null metadata", `{"metadata":null,"items":[]}`, Head{}, `[]`},
		{"escaped name", `{"it\u0065ms":[1]}`, Head{}, `[1]`},
		{"field of a Status", `{"kind":"List","status":{},"code":"x","items":[1]}`, Head{Kind: "List"}, `[1]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head, items, err := collect(JSON, strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if head != tt.head {
				t.Errorf("got head  %+v\nwant head %+v", head, tt.head)
			}
			if got := fmt.Sprint(items); got != tt.items {
				t.Errorf("got items %s, want %s", got, tt.items)
			}
		})
	}
}

func TestJSONRefuses(t *testing.T) {
	const list = `{"kind":"PodList","items":[{"a":1}]}`
	deep := strings.Repeat("[", 1<<20)
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "truncated: the JSON ends too early"},
		{"white space", " \n", "truncated: the JSON ends too early"},
		{"array", "[]", "not a JSON object"},
		{"YAML", "kind: PodList\n", "not JSON: invalid character 'k' looking for beginning of value"},
		{"protobuf", "k8s\x00", "not JSON: invalid character 'k' looking for beginning of value"},
		{"no items", `{"kind":"PodList"}`, `not a list: it has no "items"`},
		{"other case", `{"Items":[]}`, `not a list: it has no "items"`},
		{"items are no list", `{"items":{}}`, `"items" is not a list`},
		{"items are text", `{"items":"x"}`, `"items" is not a list`},
		{"two lists", list + list, "something follows the list"},
		{"brace follows", list + "}", "something follows the list"},
		{"letter follows", list + "\n\nx", "something follows the list"},
		{"zero follows", list + "\x00", "something follows the list"},
		{"two items", `{"items":[],"items":[]}`, `the list has "items" twice`},
		{"two items, one null", `{"items":null,"items":[]}`, `the list has "items" twice`},
		{"two kinds", `{"kind":"A","kind":"B"}`, `the list has "kind" twice`},
		{"kind is a number", `{"kind":7,"items":[]}`, "what the list says about itself: json: cannot unmarshal number into Go struct field .kind of type string"},
		{"metadata is text", `{"metadata":"x","items":[]}`, "what the list says about itself: json: cannot unmarshal string"},
		{"Status is wrong", `{"kind":"Status","message":{}}`, "not a list but a Status: json: cannot unmarshal object"},
		{"wrong in an item", `{"items":[{"metadata":oops}]}`, "not JSON: invalid character 'o' looking for beginning of value"},
		{"comma too many", `{"items":[1,]}`, "not JSON: "},
		{"comma missing", `{"items":[1 2]}`, "not JSON: "},
		{"comma missing between fields", `{"items":[1] "kind":"x"}`, "not JSON: "},
		{"colon missing", `{"items" [1]}`, "not JSON: "},
		{"name missing", `{:1}`, "not JSON: "},
		{"wrong brackets", `{"items":[1}]`, "not JSON: "},
		{"deep", `{"items":[` + deep + strings.Repeat("]", 1<<20) + `]}`, "not JSON: invalid character '[' exceeded max depth"},
		{"deep and cut", `{"items":[` + deep, "not JSON: invalid character '[' exceeded max depth"},
		{"deep elsewhere", `{"x":` + strings.Repeat(`{"a":`, 1<<20), "not JSON: invalid character '{' exceeded max depth"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := collect(JSON, strings.NewReader(tt.text))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Fatalf("got error %v, want %s", err, tt.want)
			}
			if got, want := errors.Is(err, io.ErrUnexpectedEOF), strings.HasPrefix(tt.want, "truncated"); got != want {
				t.Errorf("is an early end: got %v, want %v", got, want)
			}
		})
	}
}

// endless repeats a byte for ever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestJSONLimit(t *testing.T) {
	const limit = 300_000
	walk := func(r io.Reader, each func([]byte) error) (Head, error) { return readJSON(r, limit, each) }
	full := `"` + strings.Repeat("x", limit-2) + `"`
	for _, filler := range readers() {
		text := `{"items":[` + full + "," + full + "," + full + `],"kind":` + full + `}`
		_, items, err := collect(walk, filler(strings.NewReader(text)))
		if err != nil || len(items) != 3 || len(items[2]) != limit {
			t.Errorf("got %d items and error %v", len(items), err)
		}
		for _, text := range []string{`{"items":["x` + full[1:] + `]}`, `{"items":[1,"x` + full[1:] + `]}`, `{"items":[],"kind":"x` + full[1:] + `}`} {
			if _, _, err := collect(walk, filler(strings.NewReader(text))); err == nil || err.Error() != "longer than the 300000 bytes allowed" {
				t.Errorf("%.20s: one byte more: got error %v", text, err)
			}
		}
	}
	for _, tt := range []struct {
		name, start string
		rest        endless
	}{
		{"item", `{"items":["`, 'x'},
		{"second item", `{"items":[` + full + `,"`, 'x'},
		{"number", `{"items":[1`, '1'},
		{"unknown", `{"x":"`, 'x'},
		{"kind", `{"kind":"`, 'x'},
		{"name", `{"`, 'x'},
		{"space in front", ``, ' '},
		{"space in the list", `{"items":[`, ' '},
		{"space behind", `{"items":[]}`, ' '},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := collect(walk, io.MultiReader(strings.NewReader(tt.start), tt.rest))
			if err == nil || !strings.HasSuffix(err.Error(), "longer than the 300000 bytes allowed") {
				t.Errorf("got error %v", err)
			}
		})
	}
}
