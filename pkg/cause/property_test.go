package cause_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-netdoctor/netdoctor/pkg/cause"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// seeds is how many random worlds each property is held against.
const seeds = 300

// world is a random answer of random checks about a small cluster. The one piece of
// evidence of each finding is its name.
type world struct {
	snapshot *facts.Snapshot
	results  []checks.Result
}

func newWorld(t *testing.T, seed uint64) world {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	chance := func(percent int) bool { return random.IntN(100) < percent }
	var objects []any
	var subjects []facts.Ref
	for i := range 3 {
		objects = append(objects, node(fmt.Sprintf("n%d", i), corev1.ConditionTrue))
		subjects = append(subjects, facts.NodeRef(fmt.Sprintf("n%d", i)))
	}
	for i := range 5 {
		p := pod("w", fmt.Sprintf("p%d", i), fmt.Sprintf("n%d", random.IntN(3)),
			facts.Template{Labels: map[string]string{"set": fmt.Sprint(random.IntN(2))}})
		objects, subjects = append(objects, p), append(subjects, p.Ref())
	}
	for i := range 2 {
		svc := service("w", fmt.Sprintf("s%d", i), map[string]string{"set": fmt.Sprint(i)})
		objects, subjects = append(objects, svc), append(subjects, facts.ServiceRef(svc))
	}
	subjects = append(subjects, facts.Cluster(), facts.ClusterDNS())
	w := world{snapshot: built(t, objects...)}
	list := make([]*checks.Check, 5)
	for i := range slices.Backward(list) {
		list[i] = check(fmt.Sprintf("check-%d", i), checks.Severity(1+random.IntN(3)))
		for _, later := range list[i+1:] {
			if chance(40) {
				list[i].Explains = append(list[i].Explains, later)
			}
		}
	}
	count := 0
	for _, c := range list {
		var found []checks.Finding
		for _, r := range subjects {
			for _, message := range []string{"is wet", "is dry"} {
				if !chance(20) {
					continue
				}
				name := fmt.Sprintf("finding-%d", count)
				f := checks.Finding{Subject: r, Message: message, Severity: checks.Severity(1 + random.IntN(3)), Alone: chance(20), Unexplained: chance(20),
					Evidence: []checks.Evidence{checks.Quote("here", name)}}
				if chance(20) {
					f.Places = []facts.Ref{{Kind: "Place", Name: name}}
				}
				found, count = append(found, f), count+1
			}
		}
		w.results = append(w.results, result(c, found...))
	}
	random.Shuffle(len(w.results), func(i, j int) { w.results[i], w.results[j] = w.results[j], w.results[i] })
	return w
}

func name(f checks.Finding) string { return f.Evidence[0].Text }

func (w world) findings() []checks.Finding {
	var out []checks.Finding
	for _, r := range w.results {
		out = append(out, r.Findings...)
	}
	return out
}

// explainers names those that explain a finding, in the order of the results, by the
// letter of what Roots promises.
func (w world) explainers(symptom checks.Finding) []string {
	under := map[facts.Ref]bool{}
	for _, r := range append([]facts.Ref{symptom.Subject}, symptom.Places...) {
		maps.Copy(under, w.snapshot.Under(r))
	}
	if symptom.Unexplained {
		return nil
	}
	var out []string
	for _, f := range w.findings() {
		on := slices.ContainsFunc(append([]facts.Ref{f.Subject}, f.Places...), func(r facts.Ref) bool { return under[r] })
		if on && !f.Alone && slices.Contains(f.Check.Explains, symptom.Check) {
			out = append(out, name(f))
		}
	}
	return out
}

// placed says where each finding ended up: the node that tells it, and that one's parent.
type placed struct{ node, parent *cause.Node }

func where(t *testing.T, roots []*cause.Node) map[string]placed {
	t.Helper()
	out := map[string]placed{}
	seen := map[*cause.Node]bool{}
	var walk func(parent *cause.Node, nodes []*cause.Node)
	walk = func(parent *cause.Node, nodes []*cause.Node) {
		for _, n := range nodes {
			if seen[n] {
				t.Fatalf("%s %s stands twice in the tree", n.Check.ID, n.Subject)
			}
			seen[n] = true
			for _, e := range n.Evidence {
				if _, twice := out[e.Text]; twice {
					t.Errorf("%s is told twice", e.Text)
				}
				out[e.Text] = placed{n, parent}
			}
			walk(n, n.Symptoms)
		}
	}
	walk(nil, roots)
	return out
}

func eachWorld(t *testing.T, prove func(t *testing.T, seed uint64, w world)) {
	t.Helper()
	for seed := range uint64(seeds) {
		prove(t, seed, newWorld(t, seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// No finding is lost or told twice, whatever is explained and merged, and each is told
// as grave as it is, in its own words, below the first that explains it.
func TestRootsKeepsEveryFinding(t *testing.T) {
	eachWorld(t, func(t *testing.T, _ uint64, w world) {
		roots := cause.Roots(w.snapshot, w.results)
		got := where(t, roots)
		subjects := 0
		for _, f := range w.findings() {
			at, found := got[name(f)]
			if !found {
				t.Errorf("%s, %s %s, is lost", name(f), f.Check.ID, f.Subject)
				continue
			}
			n := at.node
			if n.Check != f.Check || n.Message != f.Message || n.Severity < f.Severity {
				t.Errorf("%s, %s %q (%s), is told as %s %q (%s)", name(f), f.Check.ID, f.Message, f.Severity, n.Check.ID, n.Message, n.Severity)
			}
			told := append([]facts.Ref{n.Subject}, n.Places...)
			for _, r := range append([]facts.Ref{f.Subject}, f.Places...) {
				if times := count(told, r); times != 1 {
					t.Errorf("%s: %s is named %d times in %v", name(f), r, times, told)
				}
			}
			subjects += 1 + len(f.Places)
			below(t, name(f), at.parent, w.explainers(f))
		}
		for _, at := range unique(got) {
			subjects -= 1 + len(at.Places)
		}
		if subjects != 0 || len(got) != len(w.findings()) {
			t.Errorf("the tree has %d findings of %d, and %d objects too few", len(got), len(w.findings()), subjects)
		}
		if t.Failed() {
			t.Logf("\n%s", tree(roots))
		}
	})
}

func below(t *testing.T, name string, parent *cause.Node, explainers []string) {
	t.Helper()
	switch {
	case len(explainers) == 0 && parent != nil:
		t.Errorf("%s stands below %s %s, which does not explain it", name, parent.Check.ID, parent.Subject)
	case len(explainers) > 0 && parent == nil:
		t.Errorf("%s is a root, and %s explains it", name, explainers[0])
	case len(explainers) > 0 && !slices.ContainsFunc(parent.Evidence, func(e checks.Evidence) bool { return e.Text == explainers[0] }):
		t.Errorf("%s stands below %s %s, and %s is the first that explains it", name, parent.Check.ID, parent.Subject, explainers[0])
	}
}

func count(in []facts.Ref, r facts.Ref) (n int) {
	for _, x := range in {
		if x == r {
			n++
		}
	}
	return n
}

func unique(at map[string]placed) []*cause.Node {
	nodes := map[*cause.Node]bool{}
	for _, p := range at {
		nodes[p.node] = true
	}
	return slices.Collect(maps.Keys(nodes))
}

// The same results give the same tree, to the byte. In another order they give the same
// roots, and the same tree wherever no symptom has two explanations to choose from.
func TestRootsIsStable(t *testing.T) {
	same := 0
	eachWorld(t, func(t *testing.T, seed uint64, w world) {
		once := cause.Roots(w.snapshot, w.results)
		want := tree(once)
		if diff := cmp.Diff(want, tree(cause.Roots(w.snapshot, w.results))); diff != "" {
			t.Errorf("the second time (-first +second):\n%s", diff)
		}
		contested := slices.ContainsFunc(w.findings(), func(f checks.Finding) bool { return len(w.explainers(f)) > 1 })
		random := rand.New(rand.NewPCG(seed, 1))
		for range 5 {
			other := slices.Clone(w.results)
			random.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
			again := cause.Roots(w.snapshot, other)
			first, second := rootNames(once), rootNames(again)
			if contested { // a root is as grave as what it explains, and so may stand elsewhere
				slices.Sort(first)
				slices.Sort(second)
			}
			if diff := cmp.Diff(first, second); diff != "" {
				t.Errorf("other roots in another order (-first +second):\n%s", diff)
			}
			if contested {
				continue
			}
			same++
			if diff := cmp.Diff(want, tree(again)); diff != "" {
				t.Errorf("another tree in another order (-first +second):\n%s", diff)
			}
		}
	})
	if same < 50 {
		t.Errorf("only %d worlds without a contested symptom: the seeds prove too little", same)
	}
}

func rootNames(roots []*cause.Node) []string {
	var out []string
	for _, n := range roots {
		for _, e := range n.Evidence {
			out = append(out, e.Text)
		}
	}
	return out
}
