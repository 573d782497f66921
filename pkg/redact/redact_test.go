package redact

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
		{"YAML in one line", "user: {token: quince, name: plum}, users: [{password: quince}]\n", "user: {token: REDACTED, name: plum}, users: [{password: REDACTED}]\n"},
		{"systemd", `Environment="PLUM_TOKEN=quince fig" "MTU=1400"` + "\n", `Environment="PLUM_TOKEN=REDACTED" "MTU=1400"` + "\n"},
		{"a flag in quotes", `KUBELET_EXTRA_ARGS="--node-ip=10.1.1.1 --token=quince --v=2"` + "\n", `KUBELET_EXTRA_ARGS="--node-ip=10.1.1.1 --token=REDACTED --v=2"` + "\n"},
		{"a flag and a word", "ExecStart=/usr/bin/kubelet --token quince --v 2\n", "ExecStart=/usr/bin/kubelet --token REDACTED --v 2\n"},
		{"on the next line", "ExecStart=/usr/bin/kubelet \\\n --plum-password \\\n  quince\n", "ExecStart=/usr/bin/kubelet \\\n --plum-password \\\n  REDACTED\n"},
		{"a flag without a value", "--plum-token --resolv-conf=/etc/plum.conf\n", "--plum-token --resolv-conf=/etc/plum.conf\n"},
		{"in single quotes", "ARGS='--token=quince'\n", "ARGS='--token=REDACTED'\n"},
		{"over lines", "SECRET=\"quince\nfig\"\nB=2\n", "SECRET=REDACTED\nB=2\n"},
		{"goes on", "SECRET=quince \\\n fig\nB=2\n", "SECRET=REDACTED\nB=2\n"},
		{"deep", `A="--b=c=d=e=token=quince"`, `A="--b=c=d=e=token=REDACTED"`},
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
		got := Text(tc.text)
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
	if got := Text(text); got != text {
		t.Errorf("%d bytes became %d", len(text), len(got))
	}
	if got := Text(text + "token=quince"); strings.Contains(got, "quince") {
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
		{"other quotes", `{'token': 'quince'}`, `{'token': 'REDACTED'}`},
		{"no quotes", `{token: quince}`, `{token: REDACTED}`},
	} {
		got := JSON(tc.text)
		if strings.Contains(got, "quince") {
			t.Errorf("%s: leaks: %q", tc.name, got)
		}
		if got != tc.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
		if json.Valid([]byte(tc.text)) != json.Valid([]byte(got)) {
			t.Errorf("%s: what is JSON and what is not changed: %q", tc.name, got)
		}
	}
}

// What mayHold does not know is never looked for.
func TestMayHold(t *testing.T) {
	for _, name := range []string{"api-token", "Pass_Word", "passwd", "PASSPHRASE", "client.secret", "credentials", "Authorization", "client-certificate-data",
		"certificate-authority-data", "client-key-data", "etcd_key", "wifi.psk"} {
		if !IsSecret(name) || !mayHold("a = 1\n"+name+" = quince\n") {
			t.Errorf("%s: secret %v, may hold one %v", name, IsSecret(name), mayHold(name))
		}
	}
}

// A host name keeps its labels, however long they are.
func TestBootstrapTokens(t *testing.T) {
	for text, want := range map[string]string{
		"node01.mycompanycluster.internal":                                        "node01.mycompanycluster.internal",
		"a.node01.mycompanycluster":                                               "a.node01.mycompanycluster",
		"x-node01.mycompanycluster":                                               "x-node01.mycompanycluster",
		"node01.mycompanycluster-2.internal":                                      "node01.mycompanycluster-2.internal",
		"https://node01.mycompanycluster.b:1":                                     "https://node01.mycompanycluster.b:1",
		"quince.0123456789quince":                                                 "REDACTED",
		"(quince.0123456789quince).":                                              "(REDACTED).",
		"it is quince.0123456789quince. So":                                       "it is REDACTED. So",
		"quince.0123456789quince,figfig.0123456789quince quince.0123456789quince": "REDACTED,REDACTED REDACTED",
		"--token=quince.0123456789quince -":                                       "--token=REDACTED -",
	} {
		if got := Anywhere(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// A log keeps its sentences, and what controllers call a key.
func TestLog(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"key of a controller", `E1 "Unhandled Error" key="kube-system/kube-dns" secret="a/b"`, `E1 "Unhandled Error" key="kube-system/kube-dns" secret="a/b"`},
		{"a sentence", "failed to refresh token: Unauthorized (get secrets)", "failed to refresh token: Unauthorized (get secrets)"},
		{"password in a sentence", "login with password: quince", "login with password: REDACTED"},
		{"assigned", `token=quince password="quince fig" x=1`, `token=REDACTED password="REDACTED" x=1`},
		{"JSON", `{"msg":"a","api_token":"quince","n":1}`, `{"msg":"a","api_token":"REDACTED","n":1}`},
		{"JSON in JSON", `{"msg":"{\"api_token\":\"quince\"}"}`, `{"msg":"{\"api_token\":\"REDACTED\"}"}`},
		{"a flag", "run --token quince --v 2", "run --token REDACTED --v 2"},
		{"in a query", "GET /?access_token=quince&x=1", "GET /?access_token=REDACTED&x=1"},
		{"bootstrap token", "using quince.0123456789quince now", "using REDACTED now"},
		{"name of an event", "worker.18eb733dbf71776a", "worker.18eb733dbf71776a"},
		{"certificate", "a\n-----BEGIN CERTIFICATE-----\nquince\n-----END CERTIFICATE-----\nb", "a\nREDACTED\nb"},
	} {
		if got := Log(tc.text); got != tc.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
	}
}
