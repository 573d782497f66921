package all_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/report"
	"github.com/kubectl-netdoctor/netdoctor/test/seeds"
)

// fuzzed are the captured clusters into which fuzzed text is put, picked so that every
// check which reads text is asked in one of them. Inputs tell them by their place here.
var fuzzed = []string{
	"test/clusters/loop-with-node-files", "test/clusters/lab/loop-resolvconf.tar.gz", "test/clusters/lab/kubernetes-endpoints.tar.gz",
	"test/clusters/lab/proxy-kubeconfig.tar.gz", "test/clusters/lab/proxy-hostname.tar.gz", "test/clusters/lab/coredns-rbac.tar.gz",
	"test/clusters/lab/coredns-no-bind.tar.gz", "test/clusters/lab/subnet-env-missing.tar.gz", "test/clusters/lab/vxlan-blocked.tar.gz", "test/clusters/probe/vxlan-blocked.tar.gz", "test/clusters/probe/host-forward-drop.tar.gz",
}

// moreConfig are ConfigMaps that the captured clusters lack and checks read.
const moreConfig = `
kind: ConfigMap
metadata: {namespace: kube-system, name: kubeadm-config}
data: {ClusterConfiguration: "networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}"}
---
kind: ConfigMap
metadata: {namespace: kube-system, name: kubelet-config}
data: {kubelet: "clusterDNS: [10.96.0.10]"}
---
kind: ConfigMap
metadata: {namespace: kube-system, name: coredns-custom}
data: {a.server: "example.org { log }", b.override: "log"}
---
kind: ConfigMap
metadata: {namespace: kube-system, name: node-local-dns}
data: {Corefile: "cluster.local:53 { bind 169.254.20.10 }"}
---
kind: ConfigMap
metadata: {namespace: kube-system, name: antrea-config}
data: {antrea-agent.conf: "antreaProxy: {proxyAll: false}"}
---
kind: ConfigMap
metadata: {namespace: kube-system, name: cilium-config}
data: {enable-policy: default}
`

// long leaves the seeds out of the fast loop: with the race detector they take half a minute.
func long(f *testing.F) {
	f.Helper()
	if testing.Short() {
		f.Skip("its seeds take a while")
	}
}

// trimmed returns the files of a captured cluster without those of the lab's workload,
// which make it large and hold nothing else.
func trimmed(t testing.TB, name string) []facts.File {
	t.Helper()
	b := seeds.Open(t, name)
	var out []facts.File
	for _, file := range slices.Sorted(maps.Keys(b)) {
		if of, _, _ := strings.Cut(file, "/"); of != "shop" && of != "netdoctor-e2e" {
			out = append(out, facts.File{Name: file, Data: b[file]})
		}
	}
	return out
}

// fuzzedCluster returns one of fuzzed, loaded once, in which everything that can be read
// was read: the caller may put other text in its place, of every container and node.
func fuzzedCluster() func(t *testing.T, n uint8) *facts.Snapshot {
	loaded := map[string]*facts.Snapshot{}
	return func(t *testing.T, n uint8) *facts.Snapshot {
		t.Helper()
		name := fuzzed[int(n)%len(fuzzed)]
		if loaded[name] == nil {
			files := append(trimmed(t, name), facts.File{Name: "objects.yaml", Data: []byte(moreConfig)})
			for _, p := range loadFiles(t, files).Pods {
				for i := range p.Containers {
					file := path.Join(p.Namespace, p.Name, p.Containers[i].Name+".log")
					if !slices.ContainsFunc(files, func(f facts.File) bool { return f.Name == file }) {
						files = append(files, facts.File{Name: file})
					}
				}
			}
			loaded[name] = whole(loadFiles(t, files))
		}
		return loaded[name]
	}
}

func loadFiles(t *testing.T, files []facts.File) *facts.Snapshot {
	t.Helper()
	s, err := facts.LoadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// whole leaves no gap in a snapshot.
func whole(s *facts.Snapshot) *facts.Snapshot {
	s.Depth, s.Gaps = facts.Host, map[string]string{}
	if s.Files == nil {
		s.Files = map[string]map[string]string{}
	}
	if s.Proxy == nil {
		s.Proxy = map[string]string{}
	}
	if s.Metrics == nil {
		s.Metrics = map[string][]facts.Scrape{}
	}
	for _, n := range s.Nodes {
		if s.Files[n.Name] == nil {
			s.Files[n.Name] = map[string]string{"/etc/resolv.conf": "nameserver 10.77.0.53\n"}
		}
	}
	for _, p := range s.DNSPods() {
		key := p.Namespace + "/" + p.Name
		s.Metrics[key] = make([]facts.Scrape, 2)
		for _, at := range []string{"/8181/ready", "/9153/metrics", "/8080/health"} {
			s.Proxy[key+at] += ""
		}
	}
	for _, p := range s.KubeProxyPods() {
		s.Proxy[p.Namespace+"/"+p.Name+"/10256/livez"] += ""
		s.Proxy[p.Namespace+"/"+p.Name+"/10256/healthz"] += ""
	}
	return s
}

// examine answers every check and writes every report. No check fails, two looks tell the
// same, no report holds what a terminal acts on, and neither the reports nor the time grow
// faster than what was read of the fuzzer's text.
func examine(t *testing.T, s *facts.Snapshot, size int) {
	t.Helper()
	begin := processorTime(t)
	first := reports(t, s, "text", "wide", "json")
	took := processorTime(t) - begin
	if most := 2*time.Second + time.Duration(size)*2*time.Microsecond; took > most {
		t.Errorf("it took %s of processor time for %d bytes, want at most %s", took, size, most)
	}
	if again := reports(t, s, "json")["json"]; again != first["json"] {
		t.Errorf("two looks tell two things:\n%s\nand\n%s", first["json"], again)
	}
	for format, text := range first {
		if acts := strings.IndexFunc(text, acts); acts >= 0 {
			t.Errorf("%s holds %q", format, text[acts:min(len(text), acts+40)])
		}
		if !utf8.ValidString(text) {
			t.Errorf("%s is not UTF-8", format)
		}
		if most := 1<<20 + 4*size; len(text) > most {
			t.Errorf("%s has %d bytes of %d that were read", format, len(text), size)
		}
	}
	if !json.Valid([]byte(first["json"])) {
		t.Errorf("no JSON: %s", first["json"])
	}
}

func reports(t *testing.T, s *facts.Snapshot, formats ...string) map[string]string {
	t.Helper()
	results := run(t, s)
	r := report.Report{Snapshot: s, Results: results, Roots: cause.Roots(s, results)}
	out := map[string]string{}
	for _, format := range formats {
		var to bytes.Buffer
		if err := report.Write(&to, r, format, report.Style{Width: 100}); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		out[format] = to.String()
	}
	for _, res := range results {
		for _, f := range res.Findings {
			if res.Status != checks.Failed || f.Message == "" || f.Subject.Kind == "" {
				t.Errorf("%s %s with a finding about %s: %q", res.Check.ID, res.Status, f.Subject, f.Message)
			}
		}
	}
	return out
}

// acts tells whether a character could act on a terminal or turn the direction of text.
func acts(r rune) bool {
	return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// processorTime is what this process has used, which does not depend on what else runs.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// repeated is text so often, as far as it stays short enough to be read many times.
func repeated(text string, times uint8) string {
	const most = 16 << 10
	if text = text[:min(len(text), most)]; text == "" {
		return ""
	}
	return strings.Repeat(text, min(int(times)+1, most/len(text)))
}

// hostileLines are what a terminal, a decoder of JSON and a pattern could fall over.
var hostileLines = []string{
	"", "\n", "\x00", "\x1b[2J\x1b]0;title\x07\u202e\u2028\r\n", "\xff\xfe\n", "{", `{"msg":"\u001b[2J"}` + "\n", `{"msg":` + strings.Repeat("[", 9_999), strings.Repeat("a", 9_999),
	`{"time":"x","level":"FATAL","msg":"plugin/loop: Loop (127.0.0.1:1 -> :53) detected for zone \".\", see"}` + "\n",
	"plugin/loop: Loop ( -> :53) detected for zone", "[ERROR] plugin/errors: 2 . HINFO: read udp :->: i/o timeout\n", "[FATAL] plugin/loop: Loop (",
	"E1126 01:12:03.000000       1 reflector.go:1] \"Failed to watch\" err=\"dial tcp [::1]:99999999: connect: connection refused\"\n",
	"I1126 01:12:03 Waiting for caches to sync\n", "F9999 99:99:99.999999 1 x] error running ProxyServer\n", "panic: \n\ngoroutine 1 [running]:\n",
	"E1231 23:59:59.999999 1 x] nodes \"\x1b[2J\" not found\nE0101 00:00:00.000000 1 x] nodes \"b\" not found\n",
}

// fixtureLogs returns for each layer what its fixtures have as logs, each line once.
func fixtureLogs(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("../*/testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no fixtures: %v", err)
	}
	seen, byLayer := map[string]bool{}, map[string]string{}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.Files {
			for line := range strings.Lines(string(file.Data)) {
				if path.Ext(file.Name) == ".log" && !seen[line] {
					seen[line] = true
					byLayer[filepath.Dir(name)] += line
				}
			}
		}
	}
	var out []string
	for _, layer := range sortedKeys(byLayer) {
		out = append(out, byLayer[layer])
	}
	return out
}

// FuzzLogs gives any text as both logs of every container of a captured cluster.
func FuzzLogs(f *testing.F) {
	long(f)
	logs := seeds.Files(f, func(name string) bool { return strings.HasSuffix(name, ".log") })
	for i := 0; i < len(logs); i += 3 { // many differ in nothing but times
		f.Add(uint8(i), string(logs[i]), uint8(0))
	}
	for i, text := range fixtureLogs(f) {
		f.Add(uint8(i), text, uint8(0))
	}
	for i, text := range hostileLines {
		f.Add(uint8(i), text, uint8(i*31))
	}
	cluster := fuzzedCluster()
	f.Fuzz(func(t *testing.T, n uint8, text string, times uint8) {
		s := cluster(t, n)
		text = repeated(text, times)
		for key := range s.Logs {
			s.Logs[key] = facts.Log{Current: text, Previous: text}
		}
		examine(t, s, 2*len(s.Logs)*len(text))
	})
}

// FuzzAnswers gives any texts as what every pod of cluster DNS and every kube-proxy answers
// when it is asked how it fares or for a name, and as the metrics of cluster DNS, which are
// read twice.
func FuzzAnswers(f *testing.F) {
	long(f)
	for _, text := range seeds.Files(f, func(name string) bool { return path.Base(name) == "metrics" })[:2] {
		f.Add(uint8(0), "OK", string(text[:len(text)/2]), string(text), uint8(0))
	}
	const metric = "coredns_forward_max_concurrent_rejects_total"
	for i, text := range []string{
		metric, metric + " ", metric + "{", metric + "{}", metric + "} 1", metric + "{} NaN\n", metric + "{} +Inf\n", metric + "{} -1e308\n" + metric + "{} -1e308\n",
		metric + "{a=\"\x1b[2J\"} 0x1p4\n", metric + " 1_0\n", metric + " 1 1700000000000\n", metric + "\t1\n", "# HELP\n# TYPE x\n\n{} 1",
		`coredns_panics_total 18446744073709551616`, `coredns_dns_responses_total{rcode="SERVFAIL",server="dns://:53"} 1e3`,
		`coredns_build_info{goversion="",revision="\x1b",version="1.99.99"} 1`,
	} {
		f.Add(uint8(i), hostileLines[i], metric+" 1\n", text, uint8(i*31))
	}
	for i, text := range []string{
		"kubernetes", "\x1b[2Jkubernetes\n", "{", "null", `{"lastUpdated":"","currentTime":""}`, `{"lastUpdated":"2026-11-26 01:12:03 +0000 UTC","currentTime":"9999-12-31 23:59:59 +0000 UTC"}`,
		`{"lastUpdated":"0001-01-01 00:00:00 +0000 UTC","currentTime":"2026-11-26T01:12:03Z","nodeEligible":null}`, strings.Repeat("[", 9_999),
	} {
		f.Add(uint8(i), text, "", "", uint8(0))
	}
	cluster := fuzzedCluster()
	f.Fuzz(func(t *testing.T, n uint8, answer, before, metrics string, times uint8) {
		s := cluster(t, n)
		answer, before, metrics = repeated(answer, 0), repeated(before, times), repeated(metrics, times)
		for key := range s.Proxy {
			s.Proxy[key] = answer
			if path.Base(key) == "metrics" {
				s.Proxy[key] = metrics
			}
		}
		for key := range s.Metrics {
			s.Metrics[key] = []facts.Scrape{{At: s.Taken.Add(-5 * time.Second), Text: before}, {At: s.Taken, Text: metrics}}
		}
		s = answering(s, n, answer, time.Duration(times)*time.Second)
		examine(t, s, len(s.Proxy)*(len(answer)+len(before)+len(metrics)))
	})
}

// answering lets every DNS server give an answer to each question, in its code, its values or
// in place of both.
func answering(s *facts.Snapshot, n uint8, text string, took time.Duration) *facts.Snapshot {
	b := facts.Extend(s)
	for i, p := range s.DNSPods() {
		for j, kind := range []facts.AnswerKind{facts.AnswerCluster, facts.AnswerReverse, facts.AnswerOutside, facts.AnswerKind(text)} {
			a := facts.Answer{Namespace: p.Namespace, Pod: p.Name, Kind: kind, Name: "kubernetes.default.svc.cluster.local.", Type: "A", Rcode: "NOERROR", Took: took}
			switch (int(n) + i + j) % 5 {
			case 0:
				a.Rcode = text
			case 1:
				a.Records = []string{text, text}
			case 2:
				a.Err = text
			case 3:
				a.Name, a.Type, a.Rcode = text, text, "NXDOMAIN"
			}
			b.AddAnswer(a)
		}
	}
	return b.Build()
}

// FuzzConfigMaps gives any text as one key of one ConfigMap of a captured cluster.
func FuzzConfigMaps(f *testing.F) {
	long(f)
	for i, key := range []string{"Corefile", "config.conf", "kubeconfig.conf", "net-conf.json", "cni-conf.json"} {
		for k, value := range seeds.Values(f, key) {
			f.Add(uint8(i), uint8(i+k), value)
		}
	}
	for i, text := range []string{
		"", "\x00", "\xff", ". {", "import ../custom/*", "\x1b[2J {\n}\n", ".:53 ::/1:53 0.0.0.0/1 {\nforward . /etc/resolv.conf\nloop\n}\n", ". {\nforward . 127.0.0.1 127.0.0.1\n}\n",
		strings.Repeat("0.0.0.0/1 ", 2_000) + "{\nbind 127.0.0.1\n}\n", ". {\n" + strings.Repeat("forward . 127.0.0.1\n", 2_000) + "}\n",
		"networking: {podSubnet: '10.0.0.0/8,fd00::/8,x', serviceSubnet: 10.0.0.0/7}\ncontrolPlaneEndpoint: '[::1'", "clusterDNS: [\"\x1b[2J\"]", "antreaProxy: [{proxyAll: true}]",
		"a: &a [*a]", `{"Network":"fd00::/8","EnableIPv6":true,"IPv6Network":"10.0.0.0/8"}`, `{"plugins":[{"type":null}]}`,
		"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: \"\x1b\"\nclusterCIDR: x,y,z\nclientConnection: {kubeconfig: ../../x}\n",
		"kind: Config\nclusters: [{cluster: {server: 'https://10.96.0.1'}}]",
	} {
		f.Add(uint8(i), uint8(i), text)
	}
	cluster := fuzzedCluster()
	f.Fuzz(func(t *testing.T, n, at uint8, text string) {
		s := cluster(t, n)
		data, key := place(s, int(at))
		defer func(before string) { data[key] = before }(data[key])
		data[key] = repeated(text, 0)
		examine(t, s, len(data[key]))
	})
}

// place returns one of all keys of all ConfigMaps.
func place(s *facts.Snapshot, at int) (data map[string]string, key string) {
	maps := slices.SortedFunc(slices.Values(s.ConfigMaps), func(a, b *corev1.ConfigMap) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	keys := 0
	for _, cm := range maps {
		keys += len(cm.Data)
	}
	at %= keys
	for _, cm := range maps {
		if at < len(cm.Data) {
			return cm.Data, sortedKeys(cm.Data)[at]
		}
		at -= len(cm.Data)
	}
	panic("unreachable")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// FuzzNodes gives any text as a file of every node, or as what every kubelet says of its
// configuration.
func FuzzNodes(f *testing.F) {
	long(f)
	for i, text := range seeds.Files(f, func(name string) bool { return strings.Contains(name, "/host/") }) {
		f.Add(uint8(i), uint8(i), string(text))
	}
	for i, text := range seeds.Files(f, func(name string) bool { return path.Base(name) == "configz.json" }) {
		f.Add(uint8(i), uint8(3), string(text))
	}
	for i, text := range []string{
		`{"resolvConf":""}`, `{"resolvConf":"\u001b[2J"}`, `{"resolvConf":"/run/systemd/resolve/resolv.conf"}`, `{"clusterDNS":["","x","::1","10.96.0.10","169.254.20.10"]}`,
		`{"clusterDNS":[null]}`, `{"clusterDomain":"."}`, `{"clusterDomain":"\u202eCLUSTER.local.."}`, `{"clusterDomain":"` + strings.Repeat("a.", 9_999) + `"}`, `null`, `{}`,
	} {
		f.Add(uint8(i), uint8(3), `{"kubeletconfig":`+text+`}`)
	}
	for i, text := range []string{"", "nameserver 127.0.0.53\n", "nameserver ::1\nnameserver \x1b[2J\n", strings.Repeat("nameserver 127.0.0.1\n", 999), "\xff", "search ."} {
		f.Add(uint8(i), uint8(0), text)
		f.Add(uint8(i), uint8(1), text)
	}
	files := []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/etc/cni/net.d/10-flannel.conflist"}
	cluster := fuzzedCluster()
	f.Fuzz(func(t *testing.T, n, at uint8, text string) {
		s := *cluster(t, n)
		text = repeated(text, 0)
		if file := int(at) % (len(files) + 1); file < len(files) {
			s.Files = map[string]map[string]string{}
			for _, node := range s.Nodes {
				s.Files[node.Name] = map[string]string{"/etc/resolv.conf": "", files[file]: text}
			}
		} else {
			config, err := facts.DecodeConfigz(strings.NewReader(text))
			if err != nil {
				return
			}
			s.Configz = map[string]*kubeletv1beta1.KubeletConfiguration{}
			for _, node := range s.Nodes {
				s.Configz[node.Name] = config
			}
		}
		examine(t, &s, len(s.Nodes)*len(text))
	})
}

// FuzzBundle changes one value in one file of a captured cluster. The whole is refused with
// an error that names the file, or examined.
func FuzzBundle(f *testing.F) {
	long(f)
	values := []string{
		"null", "{}", "[]", "[null]", `""`, "-1", "1e99", "9223372036854775808", "true", `"\u001b[2J"`, `"2026-11-26T01:12:03Z"`, `"9999-12-31T23:59:59-23:59"`,
		`"0001-01-01T00:00:00Z"`, `"10.96.0.10"`, `"::1"`, `"/"`, `".."`, `"kube-system"`, `{"":""}`, `[{}]`, `{"a":{"a":{"a":[]}}}`, `{"matchLabels":{}}`, "gone", "\xff",
	}
	for i, value := range values {
		for k := range 2 {
			f.Add(uint8(i), uint8(k*7+i), uint16(i*211+k*1009), value)
		}
	}
	loaded := map[string]*editable{}
	f.Fuzz(func(t *testing.T, n, file uint8, at uint16, value string) {
		name := fuzzed[int(n)%len(fuzzed)]
		if loaded[name] == nil {
			loaded[name] = edit(t, trimmed(t, name))
		}
		changed, files := loaded[name].with(t, int(file), int(at), value)
		s, err := facts.LoadFiles(files)
		if err != nil {
			if s != nil || !strings.HasPrefix(err.Error(), changed+": ") {
				t.Errorf("%s was changed: got %v and error %q", changed, s, err)
			}
			return
		}
		examine(t, whole(s), len(value))
	})
}

// editable is a bundle whose JSON is decoded.
type editable struct {
	files []facts.File
	trees []any // by file; nil where it is no JSON
}

func edit(t *testing.T, files []facts.File) *editable {
	t.Helper()
	e := &editable{files: files}
	for _, file := range files {
		var tree any
		if path.Ext(file.Name) == ".json" {
			if err := json.Unmarshal(file.Data, &tree); err != nil {
				t.Fatalf("%s: %v", file.Name, err)
			}
		}
		e.trees = append(e.trees, tree)
	}
	return e
}

// with returns the files with one value changed: to JSON, to a text, or out of the way
// where it is "gone". A file that is no JSON is changed as a whole.
func (e *editable) with(t *testing.T, file, at int, value string) (name string, files []facts.File) {
	t.Helper()
	file %= len(e.files)
	name, files = e.files[file].Name, slices.Clone(e.files)
	if e.trees[file] == nil {
		files[file].Data = []byte(value)
		return name, files
	}
	var to any
	if json.Unmarshal([]byte(value), &to) != nil {
		to = value
	}
	at %= count(e.trees[file])
	data, err := json.Marshal(changed(e.trees[file], &at, to, value == "gone"))
	if err != nil {
		t.Fatal(err)
	}
	files[file].Data = data
	return name, files
}

// count is how many values there are in a tree, itself among them.
func count(tree any) int {
	n := 1
	switch of := tree.(type) {
	case map[string]any:
		for _, v := range of {
			n += count(v)
		}
	case []any:
		for _, v := range of {
			n += count(v)
		}
	}
	return n
}

// changed returns a tree in which the value that stands at a place, depth first, is
// another one or gone. It shares with the tree what is the same.
func changed(tree any, at *int, to any, gone bool) any {
	if *at--; *at == -1 {
		return to
	}
	switch of := tree.(type) {
	case map[string]any:
		of = maps.Clone(of)
		for _, key := range sortedKeys(of) {
			if *at == 0 && gone {
				*at = -1
				delete(of, key)
				return of
			}
			if n := count(of[key]); n <= *at {
				*at -= n
				continue
			}
			of[key] = changed(of[key], at, to, gone)
			return of
		}
	case []any:
		of = slices.Clone(of)
		for i := range of {
			if *at == 0 && gone {
				*at = -1
				return slices.Delete(of, i, i+1)
			}
			if n := count(of[i]); n <= *at {
				*at -= n
				continue
			}
			of[i] = changed(of[i], at, to, gone)
			return of
		}
	}
	panic(fmt.Sprintf("no value at place %d", *at))
}
