package redact

import (
	"strings"
	"testing"
	"time"
)

// No end of a secret is left, whatever signs it holds.
func TestTails(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"a quote in JSON", `a {"password":"plum\"quince","b":1}`, `a {"password":"REDACTED","b":1}`},
		{"a backslash at its end", `a {"password":"quince\\","b":"c"}`, `a {"password":"REDACTED","b":"c"}`},
		{"a quote in JSON in JSON", `{"msg":"{\"api_token\":\"plum\\\"quince\",\"b\":1}"}`, `{"msg":"{\"api_token\":\"REDACTED\",\"b\":1}"}`},
		{"a backslash in JSON in JSON", `{"msg":"{\"api_token\":\"quince\\\\\",\"b\":1}"}`, `{"msg":"{\"api_token\":\"REDACTED\",\"b\":1}"}`},
		{"quotes of what is around", `{"msg":"{\"api_token\":\"quince","b":1}`, `{"msg":"{\"api_token\":\"REDACTED","b":1}`},
		{"a quote in single ones", `a password='plum\'quince' b`, `a password='REDACTED' b`},
		{"a quote as in YAML", `a {password: 'plum''quince', b: 1}`, `a {password: 'REDACTED', b: 1}`},
		{"a comma", "a password=plum,quince b", "a password=REDACTED b"},
		{"other signs", "a password=plum&x;fig}quince]fig|quince, b", "a password=REDACTED, b"},
		{"a backslash", `a password=plum\quince b`, "a password=REDACTED b"},
		{"in a query", "GET /?a=b&access_token=quince&x=1", "GET /?a=b&access_token=REDACTED&x=1"},
		{"a flag", `a --password "plum\"quince" b --token plum,quince`, `a --password "REDACTED" b --token REDACTED`},
		{"with an arrow", `a :password => "quince" b`, `a :password => "REDACTED" b`},
		{"a list", "a tokens=[plum quince] b", "a tokens=REDACTED b"},
		{"a list of YAML", "a {tokens: [plum, quince], b: 1}", "a {tokens: REDACTED, b: 1}"},
		{"behind another one", "x a=b,c=d,token=quince", "x a=b,c=d,token=REDACTED"},
		{"in the name of one", "a password=token: quince1", "a password=REDACTED: REDACTED"},
	} {
		for which, redact := range map[string]func(string) string{"Log": Log, "Text": Text} {
			if got := redact(tc.text); got != tc.want {
				t.Errorf("%s, %s:\ngot  %s\nwant %s", tc.name, which, got, tc.want)
			}
		}
	}
	for _, text := range []string{"PASSWORD=\"plum\\\"fig\nquince\"\nb=1\n", "PASSWORD='plum''fig\nquince'\nb=1\n"} {
		if got, want := Text(text), "PASSWORD=REDACTED\nb=1\n"; got != want {
			t.Errorf("over lines: got %q, want %q", got, want)
		}
	}
}

// What stands below a secret's name in YAML is its value.
func TestBlocks(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"as it is", "a:\n  password: |\n    quince\n\n      fig\n  b: 1\n", "a:\n  password: REDACTED\n  b: 1\n"},
		{"folded", "password: >-2 # x\n    quince\r\n\r\nb: 1\n", "password: REDACTED\n\r\nb: 1\n"},
		{"in a list", "- a: 1\n  token: |+\n   quince\n- token: !!str |\n    quince\n  b: 1\n", "- a: 1\n  token: REDACTED\n- token: REDACTED\n  b: 1\n"},
		{"in a list, a line", "- token: quince fig\n  b: 1\n", "- token: REDACTED\n  b: 1\n"},
		{"a name in quotes", "\"password\": |\n  quince", "\"password\": REDACTED\n"},
		{"words that go on", "token: plum\n  quince\nb: 1\n", "token: REDACTED\nb: 1\n"},
		{"words below", "token: # x\n  quince: fig quince\n", "token: REDACTED\n  quince: fig quince\n"},
		{"a word below", "token:\n  quince\nb: 1\n", "token: REDACTED\nb: 1\n"},
		{"a list", "tokens:\n- quince\n- fig\nb: 1\n", "tokens: REDACTED\nb: 1\n"},
		{"a list, deeper", "tokens:\n  - quince\nb: 1\n", "tokens: REDACTED\nb: 1\n"},
		{"a list of mappings", "tokens:\n- a: 1\n  token: |\n    quince\n", "tokens:\n- a: 1\n  token: REDACTED\n"},
		{"a mapping", "authorization:\n  mode: Webhook\n", "authorization:\n  mode: Webhook\n"},
		{"nothing", "token:\nb: 1\n", "token:\nb: 1\n"},
		{"another name", "a: |\n  quince\n", "a: |\n  quince\n"},
	} {
		if got := Text(tc.text); got != tc.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

// A text can be made to take long.
func TestLong(t *testing.T) {
	for _, part := range []string{"token=", "token: ", "a=\"", "a='a=\"", "token: {\n", "token:\n", "a=\\\"a=\\\\\\\"", "--token ", "token: \n - ", "token:\n\n"} {
		text := strings.Repeat(part, 64<<10/len(part))
		began := time.Now()
		Text(text)
		Log(text)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%q: %v", part, took)
		} else {
			t.Logf("%q: %v", part, took)
		}
	}
}
