package redact

import (
	"slices"
	"strings"
	"testing"
)

func TestArgs(t *testing.T) {
	for _, tc := range []struct{ name, args, want string }{
		{"none", "", ""},
		{"nothing", "/bin/plum|--config=/etc/plum|--v=2|-", "/bin/plum|--config=/etc/plum|--v=2|-"},
		{"assigned", "--token=quince|--v=2", "--token=REDACTED|--v=2"},
		{"assigned with a =", "--api-token=quince=fig,plum", "--api-token=REDACTED"},
		{"next", "--client-secret|quince|--v|2", "--client-secret|REDACTED|--v|2"},
		{"next, like a flag", "--password|-quince|-x", "--password|REDACTED|-x"},
		{"no value", "--plum-token|--v=2", "--plum-token|--v=2"},
		{"a short flag", "-token|quince", "-token|REDACTED"},
		{"where it lies", "--token-file|/etc/plum|--tls-key=/var/plum.key|--keys|true", "--token-file|/etc/plum|--tls-key=/var/plum.key|--keys|true"},
		{"a file that is none", "--token-file|quince", "--token-file|REDACTED"},
		{"what it is called", "--secret-name=plum|--secret-namespace|fig", "--secret-name=plum|--secret-namespace|fig"},
		{"what it is called, with a URL", "--secret-name=http://a:quince@x", "--secret-name=http://REDACTED@x"},
		{"a switch", "--authentication-token-webhook=true", "--authentication-token-webhook=true"},
		{"inside of one", "--set=mode=a,password=quince|--header=X-Token: quince", "--set=mode=a,password=REDACTED|--header=X-Token: REDACTED"},
		{"a header", "curl|-H|X-Token: quince", "curl|-H|X-Token: REDACTED"},
		{"a script", "sh|-c|run --token quince; --v=2\nexport PASSWORD=quince fig", "sh|-c|run --token REDACTED; --v=2\nexport PASSWORD=REDACTED"},
		{"a script with flags", "-c|--password quince --v=2", "-c|--password REDACTED --v=2"},
		{"bearer", "curl|Bearer quince+fig/plum==", "curl|Bearer REDACTED"},
	} {
		args := strings.Split(tc.args, "|")
		had := slices.Clone(args)
		got := strings.Join(Args(args), "|")
		if got != tc.want || strings.Contains(got, "quince") {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		if !slices.Equal(args, had) {
			t.Errorf("%s: it changed what it was given", tc.name)
		}
	}
}
