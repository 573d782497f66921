package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/fixes"
)

// mended returns a fix that lacks nothing.
func mended() *cure {
	f := &fixes.Fix{ID: "oil-gate", Title: "Oil the gate", Doc: "Oils it.", Risk: fixes.Harmless, For: []*checks.Check{{ID: "gate-shut"}}}
	return &cure{Fix: f, effect: &effect{plans: 1}}
}

func TestUncured(t *testing.T) {
	if err := uncured([]*cure{mended()}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		make func(*cure)
		want string
	}{
		{"never offered", func(c *cure) { c.effect = &effect{} }, "no fixture in pkg/fixes/testdata in which it is offered"},
		{"no fixture at all", func(c *cure) { c.effect = nil }, "no fixture in pkg/fixes/testdata in which it is offered"},
		{"no risk", func(c *cure) { c.Risk = 0 }, "no Risk"},
		{"no documentation", func(c *cure) { c.Doc = "\n" }, "no Doc"},
		{"cures nothing", func(c *cure) { c.For = nil }, "no For: it cures no check"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mended()
			test.make(c)
			if err := uncured([]*cure{c}); err == nil || err.Error() != `fix "oil-gate": `+test.want {
				t.Errorf("got %v, want the one line %q", err, test.want)
			}
		})
	}
}

// What is refused in every fixture counts as not offered, and a fixture's answer that no
// plan bears out does, too.
func TestEffects(t *testing.T) {
	list := []*fixes.Fix{fixes.CorefileForward, fixes.CoreDNSScale, fixes.KubernetesSlice}
	got, err := readEffects("../../pkg/fixes/testdata/owner-argocd.txtar", list)
	if err != nil {
		t.Fatal(err)
	}
	e := got["corefile-forward"]
	if e.plans != 1 || e.changed() != "change ConfigMap; pods deleted; rollout" || e.allowed() != "delete pods; get deployments; get, patch configmaps" {
		t.Errorf("got %d plans, %q, %q", e.plans, e.changed(), e.allowed())
	}
	if got["coredns-scale"].plans != 0 {
		t.Error("a fix that the fixture does not name was planned")
	}
	refused := write(t, "a.txtar", "-- objects.yaml --\n-- want --\nkubernetes-slice Service/default/kubernetes\nerror: no\ncoredns-scale Deployment/a/b\n")
	if got, err = readEffects(refused, list); err != nil || got["kubernetes-slice"].plans+got["coredns-scale"].plans != 0 {
		t.Errorf("got %+v, %v, want no plan", got, err)
	}
}

// What is no object is told in words, and so is what its pods must be allowed.
func TestEffectsOnNodes(t *testing.T) {
	got, err := readEffects("../../pkg/fixes/testdata/kubelet-resolvconf.txtar", []*fixes.Fix{fixes.KubeletResolvConf})
	if err != nil {
		t.Fatal(err)
	}
	e := got["kubelet-resolvconf"]
	if want := "settings of nodes, which are no objects: `-o yaml`, `patch` and `kustomize` do not apply; pods deleted; rollout"; e.changed() != want {
		t.Errorf("got %q, want %q", e.changed(), want)
	}
	if want := "delete pods; get deployments; those of a look at `--depth host` (`kubectl netdoctor rbac --depth host`)"; e.allowed() != want {
		t.Errorf("got %q, want %q", e.allowed(), want)
	}
}

func TestFold(t *testing.T) {
	e := &effect{
		kinds: map[string][]string{"delete": {"Service"}, "change": {"ConfigMap", "Service"}},
		verbs: map[string][]string{"services": {"create", "delete"}, "configmaps": {"get", "patch"}, "daemonsets": {"get", "patch"}},
	}
	if got, want := e.changed(), "change ConfigMap, Service; delete Service"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := e.allowed(), "create, delete services; get, patch configmaps, daemonsets"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

const faultsSource = `package faults

func All() []*Fault { return []*Fault{loop(), slip(), ports(), flood()} }
func loop() *Fault  { return &Fault{ID: "loop", Fix: upstream("coredns-loop")} }
func slip() *Fault {
	f := &Fault{ID: "slip"}
	f.Fix = []string{"coredns-corefile-error", "--with", "corefile-restore-last-good"}
	return f
}
func ports() *Fault                  { return service("dns-service-ports") }
func flood() *Fault                  { return &Fault{ID: "flood", Root: "coredns-oom"} }
func service(root string) *Fault     { return &Fault{Fix: []string{root}} }
func upstream(check string) []string { return []string{check} }
`

func TestProofs(t *testing.T) {
	name := write(t, "loop.go", faultsSource)
	page := write(t, "LAB.md", "| fault | what | cured | undone |\n|---|---|---|---|\n| loop | a \\| b | yes | NO |\n| slip | it slips |  |  |\n")
	got, err := readProofs(filepath.Dir(name), page)
	if err != nil {
		t.Fatal(err)
	}
	// The faults of one file go by its name.
	want := map[string][]proof{"corefile-forward": {{"loop", "cured, not undone"}}, "corefile-restore-last-good": {{"loop", "cured, not undone"}}, "dns-service-ports": {{"loop", "cured, not undone"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	unclear := write(t, "loop.go", strings.Replace(faultsSource, `upstream("coredns-loop")`, `upstream("nobody")`, 1))
	if _, err := readProofs(filepath.Dir(unclear), page); err == nil || !strings.Contains(err.Error(), `fault "loop": of the fixes [] it must name one`) {
		t.Errorf("got %v, want the fault named", err)
	}
	if _, err := readLab(write(t, "LAB.md", "| fault | what |\n|---|---|\n| loop | x |\n")); err == nil || !strings.Contains(err.Error(), "its table lacks the column cured") {
		t.Errorf("got %v, want the columns named", err)
	}
	if got, want := labWords([]proof{{"a", "cured, undone"}, {"b", ""}, {"c", "cured, undone"}}), "`a`, `c`: cured, undone; `b`: not run"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := labWords(nil); got != "no fault in the lab" {
		t.Errorf("got %q", got)
	}
}

func TestSurvived(t *testing.T) {
	if got, err := readSurvived(filepath.Join(t.TempDir(), "results.txt")); err != nil || len(got) != 0 {
		t.Errorf("without the file: %v, %v", got, err)
	}
	name := write(t, "results.txt", "FIX            STATE       WRITES  FAULTS  RESUMED  KILLS  SURVIVED\ncoredns-scale  case of it  2       50      10       2      62 of 62\n1 fixes                    2       50      10       2      62 of 62\n")
	got, err := readSurvived(name)
	if want := map[string]string{"coredns-scale": "62 of 62"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := readSurvived(write(t, "results.txt", "coredns-scale  x  2\n")); err == nil || !strings.Contains(err.Error(), "the row of coredns-scale does not end with N of N") {
		t.Errorf("got %v, want the row named", err)
	}
}

// Every owner that package fixes knows is on the page.
func TestOwnersAreAll(t *testing.T) {
	source, err := os.ReadFile("../../pkg/fixes/owner.go")
	if err != nil {
		t.Fatal(err)
	}
	owners, err := readOwners()
	if err != nil {
		t.Fatal(err)
	}
	reverting, named := 0, 0
	for _, o := range owners {
		if o.Reverts {
			reverting++
		} else {
			named++
		}
	}
	count := func(pattern string) int { return len(regexp.MustCompile(pattern).FindAll(source, -1)) }
	if a, b := count(`return &Owner\{.*, true\}`), count(`return &Owner\{.*, false\}`); reverting != a || named != b {
		t.Errorf("%d owners that revert and %d others are on the page, pkg/fixes/owner.go knows %d and %d", reverting, named, a, b)
	}
}

func TestFixesPage(t *testing.T) {
	t.Chdir("../..")
	pages, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	page := string(pages["docs/fixes.md"])
	headings := func(page string) map[string]bool {
		out := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
			out[anchor(m[1])] = true
		}
		return out
	}
	anchors := map[string]map[string]bool{"": headings(page), "checks.md": headings(string(pages["docs/checks.md"]))}
	for _, m := range regexp.MustCompile(`\]\(([a-z.]*)#([^)]*)\)`).FindAllStringSubmatch(page, -1) {
		if !anchors[m[1]][m[2]] {
			t.Errorf("the link %s#%s leads nowhere", m[1], m[2])
		}
	}
	last := -1
	for _, f := range fixes.All() {
		at := strings.Index(page, "\n| [`"+f.ID+"`](#"+anchor(f.ID)+") |")
		if at <= last {
			t.Errorf("the row of %s is missing, or not in the order of fixes.All", f.ID)
		}
		last = at
		if strings.Count(strings.SplitN(page[max(at, 0)+1:], "\n", 2)[0], " | ") != 7 {
			t.Errorf("the row of %s has not eight cells", f.ID)
		}
	}
}
