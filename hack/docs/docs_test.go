package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-netdoctor/netdoctor/pkg/checks"
	"github.com/kubectl-netdoctor/netdoctor/pkg/checks/all"
	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
	"github.com/kubectl-netdoctor/netdoctor/pkg/gather"
	"github.com/kubectl-netdoctor/netdoctor/pkg/probe"
)

// whole returns the only entry of a page that has no hole.
func whole() *entry {
	c := &checks.Check{ID: "gate-shut", Title: "The gate is open", Severity: checks.Error, URL: "https://example.org/gate", Needs: []*facts.Source{facts.Nodes}}
	return &entry{Check: c, layer: all.Layer{Name: "gate", Title: "Gates"}, shown: &shown{dir: "testdata", failed: []string{"shut"}, ok: []string{"open"}}}
}

func TestHoles(t *testing.T) {
	if err := holes([]*entry{whole()}); err != nil {
		t.Fatal(err)
	}
	tides := &facts.Source{Name: "tides"}
	for _, test := range []struct {
		name string
		make func(*entry)
		want string
	}{
		{"no title", func(e *entry) { e.Title = "" }, `no title`},
		{"no severity", func(e *entry) { e.Severity = 0 }, `no severity`},
		{"no documentation", func(e *entry) { e.URL = "" }, `no documentation URL`},
		{"never sick", func(e *entry) { e.failed = nil }, `no fixture of a sick cluster (a want line "gate-shut failed …")`},
		{"never healthy", func(e *entry) { e.ok = nil }, `no fixture of a healthy cluster (a want line "gate-shut ok")`},
		{"needs what nobody may read", func(e *entry) { e.Needs = []*facts.Source{tides} }, `no rights: gather.Rules does not know what reading tides takes`},
		{"may use it", func(e *entry) { e.MayUse = []*facts.Source{tides} }, `no rights: gather.Rules does not know what reading tides takes`},
		{"has it as a part", func(e *entry) { e.parts = []*facts.Source{tides} }, `no rights: gather.Rules does not know what reading tides takes`},
		{"explains a stranger", func(e *entry) { e.Explains = []*checks.Check{{ID: "wall-down"}} }, `explains "wall-down", which is not on the page`},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := whole()
			test.make(e)
			if err := holes([]*entry{e}); err == nil || err.Error() != `check "gate-shut": `+test.want {
				t.Errorf("got %v, want the one line %q", err, test.want)
			}
		})
	}
}

func TestContradictions(t *testing.T) {
	for _, test := range []struct {
		name string
		left []leftOut
		want string
	}{
		{"other ids", []leftOut{{ID: "wall-down", Reason: "nobody looks", Settles: "host"}, {ID: "wall-wet", Reason: "nobody looks", Settles: "probe"}}, ""},
		{"an id of a check", []leftOut{{ID: "gate-shut", Reason: "nobody looks", Settles: "host"}}, `hack/docs/left-out.yaml: id "gate-shut": a check has it: take it out, or say part: true`},
		{"twice", []leftOut{{ID: "wall-down", Reason: "nobody looks", Settles: "host"}, {ID: "wall-down", Reason: "too far", Settles: "host"}}, `hack/docs/left-out.yaml: id "wall-down": stands twice`},
		{"parts of a check", []leftOut{{ID: "gate-shut", Reason: "a", Settles: "host", Part: true}, {ID: "gate-shut", Reason: "b", Settles: "host", Part: true}}, ""},
		{"a part of none", []leftOut{{ID: "wall-down", Reason: "a", Settles: "host", Part: true}}, `hack/docs/left-out.yaml: id "wall-down": no check has it, so it cannot be a part of one`},
		{"no reason", []leftOut{{ID: "wall-down", Settles: "host"}}, `hack/docs/left-out.yaml: id "wall-down": id, reason and settles must be set`},
		{"nothing settles it", []leftOut{{ID: "wall-down", Reason: "too far"}}, `hack/docs/left-out.yaml: id "wall-down": id, reason and settles must be set`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := contradictions([]*entry{whole()}, test.left); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestReadLeftOut(t *testing.T) {
	name := write(t, "left-out.yaml", "- {id: wall-down, reason: nobody looks, settle: host}\n")
	if _, err := readLeftOut(name); err == nil || !strings.Contains(err.Error(), "settle\"") {
		t.Errorf("got %v, want the unknown field named", err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFixtures(t *testing.T) {
	name := write(t, "shut.txtar", `Two checks and somebody else's.
-- objects.yaml --
apiVersion: v1
kind: Node
metadata: {name: n1}
-- want --
gate-shut failed Node/n1: is shut
gate-shut failed Node/n2: is shut
wall-down unknown: logs: read only at --depth logs
moat-dry ok
`)
	of := func(s *facts.Snapshot) []checks.Part {
		return []checks.Part{{Source: facts.PodLogs, Key: s.Nodes[0].Name}, {Source: facts.PodLogs, Key: "twice"}}
	}
	gate := &checks.Check{ID: "gate-shut", Needs: []*facts.Source{facts.Nodes}, Parts: of}
	wall := &checks.Check{ID: "wall-down", Needs: []*facts.Source{facts.PodLogs}, Parts: of} // of which a cluster without logs is not asked
	got, err := readFixtures(name, []*checks.Check{gate, wall})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.ToSlash(filepath.Dir(name))
	want := map[string]*shown{
		"gate-shut": {dir: dir, failed: []string{"shut"}, parts: []*facts.Source{facts.PodLogs}},
		"wall-down": {dir: dir, unknown: []string{"shut"}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(shown{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	e := &entry{Check: gate, shown: got[gate.ID]}
	if e.asked() != facts.API || e.depth() != facts.Logs {
		t.Errorf("asked at %s for a whole answer at %s, want api and logs", e.asked(), e.depth())
	}
}

func TestReadRoots(t *testing.T) {
	out := map[string]*shown{"gate-shut": {}, "wall-down": {}}
	if err := readRoots(write(t, "roots.txt", "flood:\nsiege: gate-shut (error), wall-down (warning)\nnight: gate-shut (error)\n"), out); err != nil {
		t.Fatal(err)
	}
	want := map[string]*shown{"gate-shut": {states: []string{"siege", "night"}}, "wall-down": {states: []string{"siege"}}}
	if d := cmp.Diff(want, out, cmp.AllowUnexported(shown{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if err := readRoots(write(t, "roots.txt", "siege: moat-dry (error)\n"), out); err == nil || !strings.Contains(err.Error(), `the root of siege is "moat-dry", which is no check`) {
		t.Errorf("got %v, want the stranger named", err)
	}
}

func TestReadNamed(t *testing.T) {
	const head = "| fault | named | check says |\n|---|---|---|\n"
	out := map[string]*shown{"gate-shut": {states: []string{"siege"}}, "wall-down": {}}
	rows := "| siege | yes | `gate-shut` |\n| flood | at depth host | `wall-down` |\n| night | not yet | `gate-shut` |\n| drought | not yet | nothing |\n"
	if err := readNamed(write(t, "LAB.md", head+rows), out); err != nil {
		t.Fatal(err)
	}
	want := map[string]*shown{"gate-shut": {states: []string{"siege"}}, "wall-down": {states: []string{"flood"}}}
	if d := cmp.Diff(want, out, cmp.AllowUnexported(shown{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if err := readNamed(write(t, "LAB.md", head+"| siege | yes | `moat-dry` |\n"), out); err == nil || !strings.Contains(err.Error(), `siege was named by "moat-dry", which is no check`) {
		t.Errorf("got %v, want the stranger named", err)
	}
}

// What the page says a check needs is what the plugin prints for it.
func TestRightsAreThePlugins(t *testing.T) {
	for _, c := range all.Checks() {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(output([]string{"rbac", c.ID, "--depth", "host"})), &role); err != nil {
			t.Fatal(err)
		}
		sources := closed(append(append([]*facts.Source(nil), c.Needs...), c.MayUse...))
		want := gather.Rules(sources)
		if slices.Contains(sources, facts.Files) || slices.Contains(sources, facts.Tries) {
			want = append(want, probe.NamespaceRules()...)
		}
		if d := cmp.Diff(role.Rules, want); d != "" {
			t.Errorf("%s (-plugin +page)\n%s", c.ID, d)
		}
	}
}

func TestRight(t *testing.T) {
	for _, test := range []struct {
		sources []*facts.Source
		want    string
	}{
		{[]*facts.Source{facts.ConfigMaps}, "list `pods` in the system namespaces; get `configmaps` by name"},
		{[]*facts.Source{facts.Pods, facts.SystemPods, facts.PodLogs}, "list `pods` in all namespaces; get `pods/log` of the network stack"},
		{[]*facts.Source{facts.HTTPRoutes}, "list `httproutes.gateway.networking.k8s.io` in all namespaces, where that API exists"},
		{[]*facts.Source{facts.Configz}, "list `nodes`; get `nodes/proxy`"},
		{[]*facts.Source{facts.SystemServices, facts.SystemEndpointSlices},
			"list `services` in the system namespaces and `default`; list `endpointslices.discovery.k8s.io` in the system namespaces"},
	} {
		if got := rights(closed(test.sources)); got != test.want {
			t.Errorf("%v: got %q, want %q", test.sources, got, test.want)
		}
	}
	for _, src := range facts.Sources() {
		if right(src) == "" {
			t.Errorf("nothing is said of %s", src)
		}
	}
	some, more := []*facts.Source{facts.SystemPods, facts.Nodes}, []*facts.Source{facts.Pods, facts.PodLogs, facts.Configz}
	want := "at `api` list `pods` in all namespaces; at `logs` get `pods/log` of the network stack; get `nodes/proxy`"
	if got := rightsByDepth(beyond(some, more)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPage(t *testing.T) {
	t.Chdir("../..")
	pages, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	again, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(pages, again); d != "" {
		t.Errorf("written twice, the pages differ:\n%s", d)
	}
	page := string(pages["docs/checks.md"])
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		anchors[anchor(m[1])] = true
	}
	links := map[string]bool{}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(page, -1) {
		links[m[1]] = true
	}
	for _, c := range all.Checks() {
		if !links[c.ID] {
			t.Errorf("nothing leads to %s", c.ID)
		}
	}
	for name := range maps.Keys(links) {
		if !anchors[name] {
			t.Errorf("the link #%s leads nowhere", name)
		}
	}
	for _, name := range []string{"pkg/anonymize/core.txt", "pkg/anonymize/prose.txt"} {
		if len(pages[name]) == 0 {
			t.Errorf("%s is not written, and not compared", name)
		}
	}
	if !strings.Contains(page, "](graph.svg)") {
		t.Error("the picture is not on the page")
	}
}

func TestMarkdownIsEscaped(t *testing.T) {
	e := whole()
	e.Title, e.Doc = "a | b & <b>", "An address <pending>, `kept <so>`; see <https://example.org>."
	page := string(checksPage(&reference{layers: []all.Layer{e.layer}, entries: []*entry{e}, left: []leftOut{{ID: "wall-down", Reason: "x | <y>", Settles: "host"}}}))
	for _, want := range []string{`| a \| b &amp; &lt;b> |`, `Healthy: a \| b &amp; &lt;b>.`, `x \| &lt;y>`, "An address &lt;pending&gt;, `kept <so>`; see <https://example.org>."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestCheckNamesWhatIsOld(t *testing.T) {
	name := write(t, "page.md", "old\n")
	err := settle(name, []byte("new\n"), true)
	if err == nil || !strings.Contains(err.Error(), name+" is not up to date: make docs writes it anew") {
		t.Errorf("got %v, want the page named", err)
	}
	if text, _ := os.ReadFile(name); string(text) != "old\n" {
		t.Errorf("with -check it wrote %q", text)
	}
	if err := settle(name, []byte("new\n"), false); err != nil {
		t.Fatal(err)
	}
	if err := settle(name, []byte("new\n"), true); err != nil {
		t.Error(err)
	}
}
