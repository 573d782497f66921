package agent

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestHideSecrets(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "net.ipv4.ip_forward = 1\n# a token of love\n", "net.ipv4.ip_forward = 1\n# a token of love\n"},
		{"a line", "password = open sesame\nmode = a\n", "password = REDACTED\nmode = a\n"},
		{"exported", "export API_TOKEN=quince fig\nB=2\n", "export API_TOKEN=REDACTED\nB=2\n"},
		{"YAML", "  etcd_key: quince\n  etcd_key_file: /etc/plum.pem\n", "  etcd_key: REDACTED\n  etcd_key_file: /etc/plum.pem\n"},
		{"systemd", `Environment="PLUM_TOKEN=quince fig" "MTU=1400"` + "\n", `Environment="PLUM_TOKEN=REDACTED "MTU=1400"` + "\n"},
		{"a flag in quotes", `KUBELET_EXTRA_ARGS="--node-ip=10.1.1.1 --token=quince --v=2"` + "\n", `KUBELET_EXTRA_ARGS="--node-ip=10.1.1.1 --token=REDACTED --v=2"` + "\n"},
		{"a flag and a word", "ExecStart=/usr/bin/kubelet --token quince --v 2\n", "ExecStart=/usr/bin/kubelet --token REDACTED --v 2\n"},
		{"on the next line", "ExecStart=/usr/bin/kubelet \\\n --plum-password \\\n  quince\n", "ExecStart=/usr/bin/kubelet \\\n --plum-password \\\n  REDACTED\n"},
		{"a flag without a value", "--plum-token --resolv-conf=/etc/plum.conf\n", "--plum-token --resolv-conf=/etc/plum.conf\n"},
		{"in single quotes", "ARGS='--token=quince'\n", "ARGS='--token=REDACTED'\n"},
		{"over lines", "SECRET=\"quince\nfig\"\nB=2\n", "SECRET=REDACTED\nB=2\n"},
		{"goes on", "SECRET=quince \\\n fig\nB=2\n", "SECRET=REDACTED\nB=2\n"},
		{"deep", `A="--b=c=d=e=token=quince"`, `A="--b=c=d=REDACTED"`},
		{"in a URL", "HTTPS_PROXY=http://plum:quince@192.0.2.1:3128\n", "HTTPS_PROXY=http://REDACTED@192.0.2.1:3128\n"},
		{"with an @ in the password", "a http://plum:qui@nce@192.0.2.1:3128/x b\n", "a http://REDACTED@192.0.2.1:3128/x b\n"},
		{"with several, and as user", "http://a@plum.example:f@i@g@[fd00::1]:3128\n", "http://REDACTED@[fd00::1]:3128\n"},
		{"a user alone", "https://quince@plum.example/x\n", "https://REDACTED@plum.example/x\n"},
		{"a password alone", "https://:quince@plum.example\n", "https://REDACTED@plum.example\n"},
		{"a slash in the password", "http://plum:qui/nce@fi/g@192.0.2.1:3128 b\n", "http://REDACTED@192.0.2.1:3128 b\n"},
		{"two URLs", `"http://a:quince@x","https://b:fig@y/z@1"` + "\n", `"http://REDACTED@x","https://REDACTED@y/z@1"` + "\n"},
		{"two with a comma", "http://a:quince@x,https://b:fig@y\n", "http://REDACTED@x,https://REDACTED@y\n"},
		{"in quotes", "Environment='HTTP_PROXY=http://a:quince@x' 'MAIL=b@c'\n", "Environment='HTTP_PROXY=http://REDACTED@x' 'MAIL=b@c'\n"},
		{"slashes of JSON", `{"a":"http:\/\/plum:quince@x\/y"}`, `{"a":"http:\/\/REDACTED@x\/y"}`},
		{"an @ in a path", "https://x.example/a@b http://192.0.2.1:80/c@d http://[fd00::1]/e@f oci://x:5000/g@sha256:00\n", "https://x.example/a@b http://192.0.2.1:80/c@d http://[fd00::1]/e@f oci://x:5000/g@sha256:00\n"},
		{"a web token", "x eyJhbGciOiJSUzI1.eyJpc3Mi-_quince.c2ln y\n", "x REDACTED y\n"},
		{"bearer", "curl -H 'Bearer quince+fig/plum=='\n", "curl -H 'Bearer REDACTED'\n"},
		{"a private key", "a\n-----BEGIN EC PRIVATE KEY-----\nquince\n-----END EC PRIVATE KEY-----\nb\n", "a\nREDACTED\nb\n"},
		{"half a private key", "a\n-----BEGIN PRIVATE KEY-----\nquince\n", "a\nREDACTED"},
	} {
		got := hideSecrets(tc.text)
		if strings.Contains(got, "quince") || strings.Contains(got, "fig") {
			t.Errorf("%s: leaks: %q", tc.name, got)
		}
		if got != tc.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

// A text can be made to take long: values in values in values.
func TestHideSecretsDepth(t *testing.T) {
	text := strings.Repeat("a=", 16<<10)
	if got := hideSecrets(text); got != text {
		t.Errorf("%d bytes became %d", len(text), len(got))
	}
	if got := hideSecrets(text + "token=quince"); strings.Contains(got, "quince") {
		t.Error("a secret was left in the depth")
	}
}

func TestHideJSON(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"none", `{"type":"calico","mtu":0,"k":"a:b"}`, `{"type":"calico","mtu":0,"k":"a:b"}`},
		{"a string", `{"k8s_auth_token": "quince", "b": 1}`, `{"k8s_auth_token": "REDACTED", "b": 1}`},
		{"a number", `{"token":12345,"b":1}`, `{"token":"REDACTED","b":1}`},
		{"an object", `{"credentials":{"a":["quince","}"]},"b":1}`, `{"credentials":"REDACTED","b":1}`},
		{"an array", "{\"client-key-data\":[\n\"quince\"],\"b\":1}", `{"client-key-data":"REDACTED","b":1}`},
		{"with escapes", `{"tok\u0065n":"qu\"ince","b":1}`, `{"tok\u0065n":"REDACTED","b":1}`},
		{"in a string", `{"config":"{\"token\":\"quince\"}"}`, `{"config":"{\"token\":\"REDACTED\"}"}`},
		{"a file's name", `{"etcd_key_file":"/etc/plum.pem","kubeconfig":"/etc/x"}`, `{"etcd_key_file":"/etc/plum.pem","kubeconfig":"/etc/x"}`},
		{"cut off", `{"token":"quince`, `{"token":"REDACTED"`},
		{"cut off inside", `{"token":{"a":"quince"`, `{"token":"REDACTED"`},
		{"ends in an escape", `{"token":"\`, `{"token":"REDACTED"`},
		{"a comma too many", `{"a":1,,"token":"quince"}`, `{"a":1,,"token":"REDACTED"}`},
		{"other quotes", `{'token': 'quince'}`, `{'token': REDACTED}`},
		{"no quotes", `{token: quince}`, `{token: REDACTED}`},
	} {
		got, err := cniConf(tc.text)
		if err != nil || strings.Contains(got, "quince") {
			t.Errorf("%s: leaks: %q, %v", tc.name, got, err)
		}
		if got != tc.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
		if json.Valid([]byte(tc.text)) != json.Valid([]byte(got)) {
			t.Errorf("%s: what is JSON and what is not changed: %q", tc.name, got)
		}
	}
}

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
		hideSecrets(text)
		kernelLines(text)
		if out, _ := cniConf(text); json.Valid([]byte(text)) && !json.Valid([]byte(out)) {
			t.Errorf("%q became %q", text, out)
		}
	})
}

// What mayHold does not know is never looked for.
func TestMayHold(t *testing.T) {
	for _, name := range []string{"api-token", "Pass_Word", "passwd", "PASSPHRASE", "client.secret", "credentials", "Authorization", "client-certificate-data",
		"certificate-authority-data", "client-key-data", "etcd_key", "wifi.psk"} {
		if !isSecret(name) || !mayHold("a = 1\n"+name+" = quince\n") {
			t.Errorf("%s: secret %v, may hold one %v", name, isSecret(name), mayHold(name))
		}
	}
}
