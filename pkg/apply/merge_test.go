package apply

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerge3(t *testing.T) {
	tests := []struct{ name, base, want, now, merged string }{
		{"nobody else", `{"a":2}`, `{"a":1}`, `{"a":2}`, `{"a":1}`},
		{"another field", `{"a":2}`, `{"a":1}`, `{"a":2,"b":3}`, `{"a":1,"b":3}`},
		{"another field is gone", `{"a":2,"b":3}`, `{"a":1,"b":3}`, `{"a":2}`, `{"a":1}`},
		{"the same field", `{"a":2}`, `{"a":1}`, `{"a":3}`, `{"a":1}`},
		{"the same field is gone", `{"a":2}`, `{"a":1}`, `{}`, `{"a":1}`},
		{"what was added goes", `{"a":1,"b":2}`, `{"a":1}`, `{"a":9,"b":3}`, `{"a":9}`},
		{"what was removed comes back", `{}`, `{"a":{"x":1}}`, `{"b":2}`, `{"a":{"x":1},"b":2}`},
		{"null is a value", `{"a":null}`, `{"a":1}`, `{"a":null,"b":null}`, `{"a":1,"b":null}`},
		{"containers by name", `[{"name":"x","v":2},{"name":"y"}]`, `[{"name":"x","v":1},{"name":"y"}]`, `[{"name":"z"},{"name":"x","v":2,"w":3}]`,
			`[{"name":"z"},{"name":"x","v":1,"w":3}]`},
		{"lists without names are one value", `[1,2]`, `[1]`, `[1,2,3]`, `[1]`},
		{"numbers", `{"a":1.0,"b":2}`, `{"a":1,"b":1}`, `{"a":5,"b":2}`, `{"a":5,"b":1}`},
		{"a line", `"a\nB\nc\n"`, `"a\nb\nc\n"`, `"a\nB\nc\nd\n"`, `"a\nb\nc\nd\n"`},
		{"a line in front and one less", `"a\nB\nm\nc\n"`, `"a\nb\nm\nc\n"`, `"z\na\nB\nm\n"`, `"z\na\nb\nm\n"`},
		{"the same line", `"a\nB\nc\n"`, `"a\nb\nc\n"`, `"a\nX\nc\nd\n"`, `"a\nb\nc\nd\n"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := merge3(value(t, tt.base), value(t, tt.want), value(t, tt.now))
			if diff := cmp.Diff(value(t, tt.merged), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func value(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
