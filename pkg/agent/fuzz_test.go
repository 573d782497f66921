package agent

import (
	"encoding/json"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/redact"
)

// Whatever a node's files hold, looking at them ends, and JSON stays JSON.
func FuzzFilters(f *testing.F) {
	for _, seed := range []string{`{"token":"a","b":["c",{"password":1}]}`, "conf_dir = \"/etc\"\nbin_dirs = [\n\"a\",\n]\n", "A=\"--b='c=d'\"\n",
		"entries drop\n00000001 00000002\n", "<4>[ 1.0] nf_conntrack: table full\n", "resolvConf: /etc/a\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range Reads() {
			if r.keep != nil {
				_, _ = r.keep(text) // an error is an answer too
			}
		}
		redact.Text(text)
		kernelLines(text)
		if out := redact.JSON(text); json.Valid([]byte(text)) && !json.Valid([]byte(out)) {
			t.Errorf("%q became %q", text, out)
		}
	})
}
