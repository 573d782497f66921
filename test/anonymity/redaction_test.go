package anonymity

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// secrets has every kind of secret, marked, wherever text comes into a bundle. QUINCE stands in
// each: what is left of it is a leak.
const (
	jwt         = "eyJhbGciOiJSUzI1NiIsImtpZCI6IlFVSU5DRSJ9.eyJpc3MiOiJRVUlOQ0UifQ.QUINCEc2lnbmF0dXJl"
	privateKey  = `-----BEGIN RSA PRIVATE KEY-----\nMIIQUINCE\n-----END RSA PRIVATE KEY-----`
	certificate = `-----BEGIN CERTIFICATE-----\nMIICQUINCE\n-----END CERTIFICATE-----`
	url         = "https://plum:QUINCE@registry.example.com/v2"
	bootstrap   = "quince.0123456789quince"
	anywhere    = jwt + " " + privateKey + " " + certificate + " " + url + " " + bootstrap + " Bearer QUINCE+fig/plum=="
)

// named is text of files and logs in which the name alone tells that a value is a secret.
const named = `time=2026-01-02T03:04:05Z level=info msg="login" password=QUINCE1 api_token="QUINCE2"` + "\n" +
	`{"msg":"x","client_secret":"QUINCE3"}` + "\n" + `run --token QUINCE4 --v 2` + "\n" + `AWS_SECRET_ACCESS_KEY=QUINCE5` + "\n"

func objects() string {
	quoted := strings.ReplaceAll(anywhere, `\n`, `\\n`)
	pod := fmt.Sprintf(`
metadata:
  annotations: {note: "%[1]s", "example.com/applied": '{"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"env":[{"name":"A","value":"QUINCE"}]}]}}'}
spec:
  initContainers: [{name: i, image: x, env: [{name: A, value: QUINCE}], command: [run, --password, QUINCE, "--token=QUINCE"]}]
  containers:
  - name: c
    image: x
    env: [{name: PLUM, value: QUINCE}]
    command: [sh, -c, "export API_TOKEN=QUINCE; run '%[1]s'"]
    args: ["--client-secret", QUINCE]
    livenessProbe: {httpGet: {path: "/?access_token=QUINCE", port: 80, httpHeaders: [{name: Authorization, value: QUINCE}]}}
    readinessProbe: {exec: {command: [curl, "%[1]s"]}}
    lifecycle: {preStop: {exec: {command: [curl, -u, "password=QUINCE"]}}}
`, quoted)
	indented := strings.ReplaceAll(pod, "\n", "\n    ")
	var out strings.Builder
	fmt.Fprintf(&out, `apiVersion: v1
kind: Node
metadata: {name: n1, annotations: {"x": "%[1]s", "kubectl.kubernetes.io/last-applied-configuration": "QUINCE"}}
status: {conditions: [{type: Ready, status: "False", message: "%[1]s"}]}
---
apiVersion: v1
kind: Pod%[3]s
  nodeName: n1
  ephemeralContainers: [{name: e, image: x, env: [{name: A, value: QUINCE}], command: ["--token=QUINCE"]}]
status:
  phase: Running
  message: "%[1]s"
  containerStatuses: [{name: c, state: {terminated: {exitCode: 1, message: "%[1]s password=QUINCE"}}, lastState: {waiting: {message: "%[1]s"}}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: kube-system, name: kubeadm-config, annotations: {a: "%[1]s", "example.com/plum-token": QUINCE}}
binaryData: {b: UVVJTkNF}
data:
  kubeconfig: |
    users: [{name: a, user: {token: QUINCE, client-key-data: UVVJTkNF, password: QUINCE}}]
    clusters: [{cluster: {certificate-authority-data: UVVJTkNF}}]
  Corefile: |
    .:53 {
      etcd {
        credentials plum QUINCE
      }
      route53 example.org.:Z1 {
        aws_access_key AKIA QUINCE
      }
      tsig {
        secret id.example.org. QUINCE
      }
    }
  cni: '{"k8s_auth_token": "QUINCE", "password": "QUINCE"}'
  any: "%[1]s"
  admin-password: "QUINCE"
---
apiVersion: v1
kind: Event
metadata: {namespace: default, name: e.1}
involvedObject: {kind: Pod, namespace: default, name: p}
message: "%[1]s token=QUINCE"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: w}
webhooks: [{name: w.example.com, clientConfig: {url: "%[2]s", caBundle: UVVJTkNF}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: w}
webhooks: [{name: w.example.com, clientConfig: {url: "%[2]s", caBundle: UVVJTkNF}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.a}
spec: {group: a, version: v1, caBundle: UVVJTkNF}
status: {conditions: [{type: Available, status: "False", message: "%[1]s"}]}
`, quoted, url, strings.Replace(pod, "metadata:", "metadata:\n  namespace: default\n  name: p", 1))
	for _, kind := range []string{"Deployment", "DaemonSet", "StatefulSet"} {
		fmt.Fprintf(&out, "---\napiVersion: apps/v1\nkind: %s\nmetadata: {namespace: kube-system, name: d, annotations: {a: \"%s\"}}\nspec:\n  selector: {}\n  template:%s\n", kind, quoted, indented)
	}
	return out.String()
}

// No secret of any kind is in a bundle, wherever it came in.
func TestSecretsAreCutOut(t *testing.T) {
	text := strings.ReplaceAll(anywhere, `\n`, "\n") + "\n" + named
	s := State{Files: []facts.File{
		{Name: "objects.yaml", Data: []byte(objects())},
		{Name: "default/p/c.log", Data: []byte(text)},
		{Name: "default/p/c.previous.log", Data: []byte(text)},
		{Name: "default/p/proxy/8181/ready", Data: []byte(text)},
		{Name: "default/p/metrics/20260102T030405.000Z.prom", Data: []byte("# " + text)},
		{Name: "_nodes/n1/host/etc/plum.conf", Data: []byte(text)},
		{Name: "_nodes/n1/host/dmesg", Data: []byte(text)},
		{Name: "_nodes/n1/host/kubelet-cmdline", Data: []byte("--token=QUINCE\n" + text)},
		{Name: "_nodes/n1/configz.json", Data: []byte(`{"kubeletconfig": {"staticPodURLHeader": {"Authorization": ["QUINCE"]}, "staticPodURL": "` + url + `"}}`)},
		{Name: "_probe/tries.json", Data: []byte(`[{"node": "n1", "kind": "tcp", "to": "a:1", "target": "pod", "sent": 1, "lost": 1, "err": "` + strings.ReplaceAll(anywhere, `\n`, " ") + `"}]`)},
		{Name: "_probe/answers.json", Data: []byte(`[{"namespace": "default", "pod": "p", "kind": "outside", "name": "a.", "type": "TXT", "err": "` + jwt + `"}]`)},
	}}
	entries, err := Capture(s)
	if err != nil {
		t.Fatal(err)
	}
	files, err := read(entries)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 15 {
		t.Errorf("%d files: some of the state are missing", len(files))
	}
	leak := regexp.MustCompile(`(?i).{0,60}(QUINCE|UVVJTkNF|UVVJTkNF|RVU5DRS).{0,10}`)
	for _, f := range files {
		for _, found := range leak.FindAllString(string(f.Data), -1) {
			t.Errorf("%s: %s", f.Name, found)
		}
	}
	if t.Failed() {
		return
	}
	for _, kept := range []string{"registry.example.com/v2", "AWS_SECRET_ACCESS_KEY", "msg=", "--v 2", `"-c"`, "httpGet", "kubeconfig", "route53", "clientConfig"} {
		found := false
		for _, f := range files {
			found = found || strings.Contains(string(f.Data), kept)
		}
		if !found {
			t.Errorf("%s is no secret, and is gone", kept)
		}
	}
}

// What is cut out of a bundle is nothing that a check looks at; where it is, the check says
// in the bundle that it does not know, and never that all is well.
func TestCutOutIsNotMissed(t *testing.T) {
	reasons := map[string]string{
		"pkg/checks/cni/testdata/conf-invalid-edits.txtar": "the ConfigMaps of other namespaces are left out",
	}
	unknown := map[string]string{
		"pkg/checks/kubeproxy/testdata/hostname-fixed-variable.txtar": "kube-proxy-hostname",
	}
	each(t, func(v verdict) {
		if want := unknown[v.state]; strings.Join(v.unknown, " ") != want {
			t.Errorf("%s: in its bundle %q are not known, want %q", v.state, v.unknown, want)
		}
		if why := reasons[v.state]; (why == "") != (v.cutOut == "") {
			t.Errorf("%s: %s (-the state +its bundle):\n%s", v.state, why, v.cutOut)
		}
	})
}

// findings leaves out why something is unknown, since a bundle says that in other words, and
// what those checks say that do not count.
func findings(texts []string, but []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(text string) bool {
		id, _, _ := strings.Cut(strings.TrimPrefix(text, "root "), " ")
		return !strings.Contains(text, "\n") && !strings.HasPrefix(text, "root ") || slices.Contains(but, id)
	})
}

// silenced returns the checks that find something in a state and do not know in its bundle.
func silenced(state, bundle []string) []string {
	var out []string
	for _, said := range bundle {
		id, rest, _ := strings.Cut(said, " ")
		if rest == "unknown 0" && slices.ContainsFunc(state, func(text string) bool { return strings.HasPrefix(text, id+" failed ") }) {
			out = append(out, id)
		}
	}
	return out
}
