package facts

import "testing"

// A Corefile without its secrets is one with the same zones.
func TestRedactCorefile(t *testing.T) {
	for _, tt := range []struct{ name, key, text, want string }{
		{"a zone and its port", "Corefile", "secret.corp:53 .:53 {\n  token.corp:53\n}\n", "secret.corp:53 .:53 {\n  token.corp:53\n}\n"},
		{"a zone as in a block", "Corefile.base", "secret fig.example {\n} # {\npassword { # x\n}\n", "secret fig.example {\n} # {\npassword { # x\n}\n"},
		{"a part of one", "plum.server", "api-key.corp:53 {\n  secret a. quince\n}\n", "api-key.corp:53 {\n  secret REDACTED REDACTED\n}\n"},
		{"a comment", "Corefile", "# token=quince\n.:53 { # password: quince fig\n", "# token=REDACTED\n.:53 { # password: REDACTED fig\n"},
		{"a URL", "Corefile", ".:53 {\n forward . https://a:quince@b\n}\n", ".:53 {\n forward . https://REDACTED@b\n}\n"},
		{"another file", "plum.conf", "secret.corp: quince\n", "secret.corp: REDACTED\n"},
	} {
		if got := redactConfig(tt.key, tt.text); got != tt.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// What lies under the name of a secret is one, whatever it looks like.
func TestRedactKeys(t *testing.T) {
	for _, tt := range []struct{ key, text, want string }{
		{"password", "quince", "REDACTED"},
		{"example.com/api-token", "quince fig\nplum", "REDACTED"},
		{"tls.key", "{\"a\": \"quince\"}", "REDACTED"},
		{"secrets.yaml", "a: quince\n", "REDACTED"},
		{"password-file", "quince", "REDACTED"},
		{"password", "", ""},
		{"secret-name", "plum-tls", "plum-tls"},
		{"ingress-secrets-namespace", "plum", "plum"},
		{"enable-secrets-sync", "true", "true"},
		{"token-path", "/etc/plum/token\n", "/etc/plum/token\n"},
		{"plum", "a: fig\n", "a: fig\n"},
	} {
		if got := redactConfig(tt.key, tt.text); got != tt.want {
			t.Errorf("ConfigMap, %s: got %q, want %q", tt.key, got, tt.want)
		}
		if got := redactAnnotations(map[string]string{tt.key: tt.text})[tt.key]; got != tt.want {
			t.Errorf("annotation, %s: got %q, want %q", tt.key, got, tt.want)
		}
	}
}
