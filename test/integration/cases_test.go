package integration

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/cmd"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/test/plane"
	"github.com/kubectl-netdoctor/netdoctor/test/states"
)

// TestCases loads every fault of test/cases and every healthy cluster of test/shapes into
// the API server, and holds what check says of it live against what it says of the fixture.
func TestCases(t *testing.T) {
	p := start(t, "--no-controllers")
	plane.Everywhere(t)
	p.ForbidServer(t)
	server, err := p.Client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	etcd := plane.NewStore(t, p.Plane)
	etcd.Empty(t)
	var nodes plane.StandIn
	nodes.Serve(t)
	for _, kind := range []struct {
		name string
		read func(string) ([]*states.State, error)
	}{{"cases", states.Cases}, {"shapes", states.Shapes}} {
		all, err := kind.read("..")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			t.Run(kind.name+"/"+s.Name, func(t *testing.T) { sameRoots(t, p, etcd, &nodes, s, server.GitVersion) })
		}
	}
}

// short is how far apart metrics are read where it makes no difference: where nothing is
// found by how much of something there is in a second.
const short = 100 * time.Millisecond

// sameRoots loads a state and compares.
func sameRoots(t *testing.T, p api, etcd *plane.Store, nodes *plane.StandIn, s *states.State, version string) {
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
	etcd.Replace(t, objects(t, s, later), s.Taken.Add(later))
	look := func(window time.Duration) []string {
		nodes.Play(scene(s, later))
		return p.rootsAt(t, s.Taken.Add(later), "--depth", snapshot.Depth.String(), "--metrics-window", window.String())
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
func (p api) rootsAt(t *testing.T, now time.Time, flags ...string) []string {
	t.Helper()
	w := sameClock(p.env(t), now)
	if code := cmd.Run(t.Context(), append([]string{"check", "-o", "json", "--kubeconfig", p.Kubeconfig}, flags...), w.Env); code == 2 {
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

// scene is what the nodes and pods of a state answer, later by a whole number of seconds.
func scene(s *states.State, later time.Duration) []facts.File {
	files := s.Files()
	for i := range files {
		files[i].Data = plane.PostponedLog(files[i].Data, s.Taken, later)
	}
	return files
}

// objects returns what a state consists of, later by a whole number of seconds. A field
// that the API does not know is an error.
func objects(t *testing.T, s *states.State, later time.Duration) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	for _, raw := range s.Objects() {
		raw = plane.Postponed(raw, later)
		strictly(t, raw)
		out = append(out, raw)
	}
	return out
}

func strictly(t *testing.T, raw json.RawMessage) {
	t.Helper()
	var meta metav1.TypeMeta
	if err := json.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(facts.Sources(), func(src *facts.Source) bool { return src.Object() && src.Kind == meta.Kind })
	if i < 0 {
		t.Fatalf("nothing reads a %s", meta.Kind)
	}
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(facts.New(facts.Sources()[i])); err != nil {
		t.Errorf("%s: %v in %s", meta.Kind, err, raw)
	}
}
