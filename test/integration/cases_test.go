package integration

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/cmd"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/states"
)

// TestCases loads every fault of test/cases and every healthy cluster of test/shapes into
// the API server, and holds what check says of it live against what it says of the fixture.
func TestCases(t *testing.T) {
	p := start(t, "--no-controllers")
	everywhere(t)
	p.forbidWrites(t)
	server, err := p.client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	etcd := emptied(t, p)
	var nodes standIn
	nodes.serve(t)
	for _, kind := range []struct {
		name string
		read func(string) ([]*states.State, error)
	}{{"cases", states.Cases}, {"shapes", states.Shapes}} {
		all, err := kind.read("..")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			t.Run(kind.name+"/"+s.Name, func(t *testing.T) { sameRoots(t, etcd, &nodes, s, server.GitVersion) })
		}
	}
}

// everywhere makes every address local, so that the API server reaches nodes and pods
// wherever a state has them.
func everywhere(t *testing.T) {
	t.Helper()
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		if out, err := exec.Command("ip", "route", "add", "local", all, "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("ip route add local %s: %v: %s", all, err, out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "route", "del", "local", all, "dev", "lo").Run() })
	}
}

// forbidWrites lets nobody write what states consist of, and returns when that holds. An
// API server makes again what it misses of its own (the Service kubernetes with its
// EndpointSlice, system namespaces, the range of Services), reports addresses that it did
// not give out, and judges APIServices: with that, no state would be what it says.
func (p *plane) forbidWrites(t *testing.T) {
	t.Helper()
	const name = "states-stay-as-they-are"
	groups := []string{"events.k8s.io"}
	for src := range folders {
		groups = append(groups, src.Group)
	}
	slices.Sort(groups)
	policies := p.client.AdmissionregistrationV1()
	_, err := policies.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete},
				Rule:       admissionv1.Rule{APIGroups: slices.Compact(groups), APIVersions: []string{"*"}, Resources: []string{"*/*"}},
			}}}},
			Validations: []admissionv1.Validation{{Expression: "false"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = policies.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dry := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
	for _, object := range []struct{ group, resource, name string }{
		{"", "namespaces", "default"},
		{"apiregistration.k8s.io", "apiservices", "v1.apps"}, // of a server behind the first, which hears of policies by itself
	} {
		client := p.dynamic.Resource(schema.GroupVersionResource{Group: object.group, Version: "v1", Resource: object.resource})
		await(t, "writes of "+object.resource+" to be forbidden", func() bool {
			_, err := client.Patch(t.Context(), object.name, "application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`), dry)
			return apierrors.IsInvalid(err) || apierrors.IsForbidden(err)
		})
	}
}

// short is how far apart metrics are read where it makes no difference: where nothing is
// found by how much of something there is in a second.
const short = 100 * time.Millisecond

// sameRoots loads a state and compares.
func sameRoots(t *testing.T, etcd *store, nodes *standIn, s *states.State, version string) {
	t.Helper()
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	// A live cluster tells of no files of nodes.
	snapshot = snapshot.Without(facts.Files, "not in a live cluster")
	snapshot.Depth = min(snapshot.Depth, facts.Logs)
	judged := make(chan expected, 1)
	go func() { judged <- offline(s, snapshot, version) }()

	later := time.Since(s.Taken).Truncate(time.Second)
	etcd.load(t, s, later)
	look := func(window time.Duration) []string {
		nodes.play(s, later)
		return etcd.plane.rootsAt(t, s.Taken.Add(later), "--depth", snapshot.Depth.String(), "--metrics-window", window.String())
	}
	got := look(short)
	want := <-judged
	if want.window > short {
		got = look(want.window)
	}
	if diff := cmp.Diff(strings.Join(want.roots, "\n"), strings.Join(got, "\n")); diff != "" {
		t.Errorf("roots offline and live differ (-offline +live):\n%s", diff)
	}
	for _, line := range want.byVersion {
		if check, _, _ := strings.Cut(strings.TrimSpace(line), " "); !slices.Contains(asksVersion(), check) {
			t.Errorf("it depends on the version of the API server: %s", line)
		}
	}
}

// asksVersion names the checks that may say something else of a state where the API server
// has another version than the state's.
func asksVersion() []string { return []string{"kube-proxy-version-skew"} }

// rootsAt runs check as if at a time.
func (p *plane) rootsAt(t *testing.T, now time.Time, flags ...string) []string {
	t.Helper()
	w := sameClock(p.env(t), now)
	if code := cmd.Run(t.Context(), append([]string{"check", "-o", "json", "--kubeconfig", p.kubeconfig}, flags...), w.Env); code == 2 {
		t.Fatalf("check: exit %d\n%s", code, w.err)
	}
	var r struct{ Roots []reported }
	if err := json.Unmarshal([]byte(w.out.String()), &r); err != nil {
		t.Fatal(err)
	}
	return reportedLines("", r.Roots)
}

// expected is what check says of a fixture, as of the API server's version, since a live
// cluster has no other.
type expected struct {
	roots     []string
	byVersion []string      // what it says only of this version, or only of the state's own
	window    time.Duration // how far apart metrics must be read for that
}

// offline judges a fixture.
func offline(s *states.State, snapshot *facts.Snapshot, version string) expected {
	judge := func(version string, window time.Duration) []string {
		seen := *snapshot
		seen.Server, seen.Metrics = version, map[string][]facts.Scrape{}
		for pod, scrapes := range snapshot.Metrics {
			seen.Metrics[pod] = slices.Clone(scrapes)
			if window > 0 {
				seen.Metrics[pod][len(scrapes)-1].At = scrapes[0].At.Add(window)
			}
		}
		return lines("", cause.Roots(&seen, states.Weigh(s, &seen).Results))
	}
	own, here := judge(snapshot.Server, 0), judge(version, short)
	if slices.Equal(own, here) {
		return expected{roots: here, window: short}
	}
	out := expected{roots: judge(version, 0), window: short}
	if !slices.Equal(out.roots, here) {
		for _, scrapes := range snapshot.Metrics {
			out.window = max(out.window, scrapes[len(scrapes)-1].At.Sub(scrapes[0].At))
		}
	}
	for _, lists := range [][2][]string{{own, out.roots}, {out.roots, own}} {
		for _, line := range lists[0] {
			if !slices.Contains(lists[1], line) {
				out.byVersion = append(out.byVersion, line)
			}
		}
	}
	return out
}

// lines tells of every root and, indented, of what is folded below it: check, subject, places.
func lines(indent string, nodes []*cause.Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, line(indent, n.Check.ID, n.Subject, n.Places))
		out = append(out, lines(indent+"  ", n.Symptoms)...)
	}
	return out
}

func line(indent, check string, subject facts.Ref, places []facts.Ref) string {
	text := indent + check + " " + subject.Path()
	for _, p := range places {
		text += " @" + p.Path()
	}
	return text
}

// reported is of a root in the JSON report what is compared.
type reported struct {
	Check    string
	Subject  facts.Ref
	Places   []facts.Ref
	Symptoms []reported
}

func reportedLines(indent string, nodes []reported) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, line(indent, n.Check, n.Subject, n.Places))
		out = append(out, reportedLines(indent+"  ", n.Symptoms)...)
	}
	return out
}

// standIn answers for the kubelets and the pods of one state after the other. It goes by
// whom the API server says that it asks, since a state may give two of them one address.
// What a state does not hold it does not answer, as if it could not be reached.
type standIn struct{ now atomic.Pointer[scene] }

type scene struct {
	files map[string][]byte

	mu    sync.Mutex
	asked map[string]bool // the pods whose metrics were asked for
}

// play answers for a state from now on, later by a whole number of seconds.
func (n *standIn) play(s *states.State, later time.Duration) {
	now := &scene{files: map[string][]byte{}, asked: map[string]bool{}}
	for _, f := range s.Files() {
		now.files[f.Name] = postponedLog(f.Data, s.Taken, later)
	}
	n.now.Store(now)
}

// serve listens until the test ends, on the ports that check asks.
func (n *standIn) serve(t *testing.T) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) { n.now.Load().log(w, r) })
	mux.HandleFunc("GET /configz", func(w http.ResponseWriter, r *http.Request) { n.now.Load().configz(w, r) })
	serve(t, ":10250", mux, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
	for _, port := range []string{"8181", "9153", "10256"} {
		serve(t, ":"+port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.now.Load().pod(w, r) }), nil)
	}
}

func (s *scene) log(w http.ResponseWriter, r *http.Request) {
	dir := r.PathValue("namespace") + "/" + r.PathValue("pod") + "/"
	name := dir + r.PathValue("container")
	previous := r.URL.Query().Get("previous") == "true"
	if previous {
		name += ".previous"
	}
	text, found := s.files[name+".log"]
	known := slices.ContainsFunc(slices.Collect(maps.Keys(s.files)), func(f string) bool {
		return strings.HasPrefix(f, dir) && strings.HasSuffix(f, ".log")
	})
	switch {
	case !known:
		panic(http.ErrAbortHandler)
	case !found && previous:
		http.Error(w, "previous terminated container not found", http.StatusBadRequest)
	default:
		_, _ = w.Write(tail(text, r.URL.Query().Get("tailLines")))
	}
}

// tail returns the last lines of a log.
func tail(text []byte, lines string) []byte {
	n, err := strconv.Atoi(lines)
	if err != nil {
		return text
	}
	all := bytes.SplitAfter(text, []byte("\n"))
	if len(all[len(all)-1]) == 0 {
		n++ // what is after the last line is none
	}
	return bytes.Join(all[max(0, len(all)-n):], nil)
}

func (s *scene) configz(w http.ResponseWriter, r *http.Request) {
	node, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Forwarded-Uri"), "/api/v1/nodes/"), "/")
	node, _, _ = strings.Cut(node, ":")
	s.answer(w, "_nodes/"+node+"/configz.json")
}

// pod answers for namespaces/NAMESPACE/pods/NAME:PORT/proxy/PATH.
func (s *scene) pod(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(r.Header.Get("X-Forwarded-Uri"), "/api/v1/namespaces/"), "/", 5)
	if len(parts) < 5 {
		panic(http.ErrAbortHandler)
	}
	name, port, _ := strings.Cut(parts[2], ":")
	pod, path := parts[0]+"/"+name, port+"/"+parts[4]
	if path != "9153/metrics" {
		s.answer(w, pod+"/proxy/"+path)
		return
	}
	first, second := s.metrics(pod)
	s.mu.Lock()
	again := s.asked[pod]
	s.asked[pod] = true
	s.mu.Unlock()
	if again {
		first = second
	}
	s.answer(w, first)
}

// metrics names the files with the two answers of a pod.
func (s *scene) metrics(pod string) (first, second string) {
	var all []string
	for name := range s.files {
		if strings.HasPrefix(name, pod+"/metrics/") {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return pod + "/proxy/9153/metrics", ""
	}
	slices.Sort(all) // by time
	return all[0], all[len(all)-1]
}

func (s *scene) answer(w http.ResponseWriter, file string) {
	text, found := s.files[file]
	if !found {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(text)
}
