package redact

import (
	"encoding/json"
	"strings"
	"testing"
)

// Each string is looked at as it reads: what stands beside it in the text is not taken for a
// part of a secret, and none hides behind an escape.
func TestStrings(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", `{"a":[1.50,1e400,-0],"b":null,"c":"\u003cx\u003e"}`, `{"a":[1.50,1e400,-0],"b":null,"c":"\u003cx\u003e"}`},
		{"behind the end of a line", `{"a":"x\n123456.0123456789quince\ny"}`, `{"a":"x\nREDACTED\ny"}`},
		{"with the letter of an escape", `{"a":"x\nplum1.0123456789abcdeg"}`, `{"a":"x\nplum1.0123456789abcdeg"}`},
		{"a web token behind a line", `{"a":"x\neyJhbGciOiJSUzI1.quince.c2ln"}`, `{"a":"x\nREDACTED"}`},
		{"a private key before a quote", `{"a":"-----BEGIN PRIVATE KEY-----\\\"fig","b":1}`, `{"a":"REDACTED\"fig","b":1}`},
		{"half a private key", `{"a":"-----BEGIN PRIVATE KEY-----\nquince","b":["c"]}`, `{"a":"REDACTED","b":["c"]}`},
		{"in a name", `{"http://plum:quince@x":1}`, `{"http://REDACTED@x":1}`},
		{"with escapes", `{"a":"http:\/\/plum:quince\u0040x"}`, `{"a":"http://REDACTED@x"}`},
		{"in a list", ` [ "Bearer quince+fig/plum==" , {} ] `, ` [ "Bearer REDACTED" , {} ] `},
		{"alone", `"https://quince@x"`, `"https://REDACTED@x"`},
	} {
		got := Strings(tc.text)
		if got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.name, got, tc.want)
		}
		if !json.Valid([]byte(tc.text)) || !json.Valid([]byte(got)) {
			t.Errorf("%s: is no JSON: %s", tc.name, got)
		}
	}
}

// What is valid stays valid, whatever its strings hold, and what was taken out once is out.
func FuzzStrings(f *testing.F) {
	for _, seed := range []string{`{"a":"x\nplum1.0123456789abcdeg","b":[1,{"c":null}]}`, `"-----BEGIN PRIVATE KEY-----\\\""`, `{"token":{"a":"\ud800"},"b":"{\"token\":1}"}`,
		`["http:\/\/a:b@c","Bearer aaaaaaaa\u0022"]`, `{"a":"{\"b\":\"[\\\"-----BEGIN CERTIFICATE-----\\\"]\"}"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		Text(text)
		Log(text)
		for name, redact := range map[string]func(string) string{"Strings": Strings, "JSON": JSON} {
			out := redact(text)
			if json.Valid([]byte(text)) && !json.Valid([]byte(out)) {
				t.Errorf("%s: %q became %q", name, text, out)
			}
			if len(out) > 16*len(text)+16 {
				t.Errorf("%s: %d bytes became %d", name, len(text), len(out))
			}
		}
	})
}

// A text can be made to be deep.
func TestStringsDepth(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 1<<16)
	if got := Strings(deep); got != deep {
		t.Error("it was changed")
	}
}
